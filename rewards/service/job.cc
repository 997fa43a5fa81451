#include "rewards/service/job.h"

#include <algorithm>
#include <utility>

#include "rewards/service/wire.h"

namespace aha::rewards {

Job::Job(ParsedRequest parsed, std::chrono::milliseconds budget, const Registry& registry)
    : parsed_(std::move(parsed)),
      budget_(budget),
      deadline_(Deadline::After(budget)),
      cells_(static_cast<std::size_t>(request().items_size()) *
             static_cast<std::size_t>(request().rewards_size())),
      missing_(cells_.size()) {
  for (int r = 0; r < request().rewards_size(); ++r) {
    const auto& spec = request().rewards(r);
    const RewardInfo* info = registry.Find(spec.name());
    const Lane lane = spec.has_isolation() ? Lane::kProcess
                      : info != nullptr    ? info->lane
                                           : Lane::kThread;
    lane_of_.push_back(lane);
    parts_[static_cast<std::size_t>(lane)].rewards.push_back(r);
  }
  for (std::size_t lane = 0; lane < parts_.size(); ++lane) {
    Part& part = parts_[lane];
    const bool whole = static_cast<Lane>(lane) == Lane::kBatch;
    part.end = part.rewards.empty() ? 0
               : whole              ? static_cast<int>(part.rewards.size())
                                    : request().items_size();
  }
}

std::optional<int> Job::Claim(Lane lane) {
  Part& part = parts_[static_cast<std::size_t>(lane)];
  if (closed_ || part.next >= part.end) return std::nullopt;
  const int claimed = part.next++;
  if (claimed >= part.end) return std::nullopt;
  return claimed;
}

bool Job::begun() const {
  return std::any_of(parts_.begin(), parts_.end(), [](const Part& part) { return part.next > 0; });
}

bool Job::Finish(int item, int reward, Outcome outcome) {
  const std::lock_guard lock(mutex_);
  if (closed_) return false;
  const auto rewards = static_cast<std::size_t>(request().rewards_size());
  Outcome& cell =
      cells_[static_cast<std::size_t>(item) * rewards + static_cast<std::size_t>(reward)];
  cell = std::move(outcome);
  return --missing_ == 0;
}

Outcome Job::TimedOut(int reward, bool begun) const {
  return Failed(
      proto::Failure::TIMEOUT,
      fmt::format("{}: {} the request's deadline of {} ms", request().rewards(reward).name(),
                  begun ? "not finished at" : "not reached before", budget_.count()));
}

std::optional<std::string> Job::Close(Statistics* statistics) {
  const std::lock_guard lock(mutex_);
  if (closed_.exchange(true)) return std::nullopt;
  const int rewards = request().rewards_size();
  for (std::size_t at = 0; missing_ > 0 && at < cells_.size(); ++at) {
    if (cells_[at].what_case() != Outcome::WHAT_NOT_SET) continue;
    const int reward = static_cast<int>(at) % rewards;
    const Lane lane = lane_of_[static_cast<std::size_t>(reward)];
    const Part& part = Of(lane);
    const bool begun =
        lane == Lane::kBatch ? part.next > 0 : static_cast<int>(at) / rewards < part.next;
    cells_[at] = TimedOut(reward, begun);
  }
  if (statistics != nullptr) {
    const std::chrono::duration<double, std::milli> taken = Clock::now() - arrived_;
    statistics->Count(request(), cells_, taken.count());
  }
  return ReplyBytes(id(), request(), cells_);
}

}  // namespace aha::rewards
