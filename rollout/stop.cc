#include "rollout/stop.h"

#include <algorithm>

namespace aha::rollout {

StopStrings::StopStrings(std::span<const std::string> strings, std::unique_ptr<TextDecoder> decoder)
    : strings_(strings), decoder_(std::move(decoder)) {
  for (const std::string& s : strings_)
    longest_ = std::max(longest_, s.size());
}

std::optional<std::size_t> StopStrings::Push(std::int32_t id) {
  if (longest_ == 0) return std::nullopt;
  // What came before is too short for a match of its own: only matches that end in new bytes count.
  if (bytes_.size() >= longest_) bytes_.erase(0, bytes_.size() - (longest_ - 1));
  const std::size_t before = bytes_.size();
  decoder_->Append(id, bytes_);
  std::optional<std::size_t> found;
  std::size_t first_end = std::string::npos;
  for (std::size_t i = 0; i < strings_.size(); ++i) {
    if (strings_[i].empty()) continue;
    const std::size_t from = before >= strings_[i].size() ? before - strings_[i].size() + 1 : 0;
    const std::size_t at = bytes_.find(strings_[i], from);
    if (at == std::string::npos || at + strings_[i].size() >= first_end) continue;
    first_end = at + strings_[i].size();
    found = i;
  }
  return found;
}

void AddToken(const Request& request,
              std::uint32_t sample,
              std::int32_t id,
              float logprob,
              std::uint64_t version,
              std::optional<StopStrings>& stops,
              SampleOutcome& out) {
  if (out.versions.empty() || out.versions.back().version != version)
    out.versions.push_back({out.ids.size(), version});
  out.ids.push_back(id);
  out.logprobs.push_back(logprob);
  if (stops) out.stop_string = stops->Push(id);
  const bool stop_id =
      std::find(request.stop_ids.begin(), request.stop_ids.end(), id) != request.stop_ids.end();
  if (stop_id || out.stop_string) {
    out.finish = Finish::kStop;
  } else if (out.ids.size() == request.sampling.max_new_tokens) {
    out.finish = Finish::kLength;
  }
  if (request.on_token)
    request.on_token({request.id, sample, out.ids.size() - 1, id, logprob, version, out.finish});
}

}  // namespace aha::rollout
