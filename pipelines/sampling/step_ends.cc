#include "pipelines/sampling/step_ends.h"

#include <algorithm>

namespace aha::pipelines {

std::vector<std::uint64_t> TextLengths(const proto::Completion& completion,
                                       const policy::Tokenizer& tokenizer) {
  policy::StreamDecoder decoder(tokenizer);
  std::vector<std::uint64_t> lengths;
  std::uint64_t bytes = 0;
  for (const std::uint32_t id : completion.ids()) {
    bytes += decoder.Push(static_cast<std::int32_t>(id)).size();
    lengths.push_back(bytes);
  }
  return lengths;
}

void SetTokenEnds(const proto::Completion& completion,
                  std::uint64_t scored_bytes,
                  const policy::Tokenizer& tokenizer,
                  proto::Outcome& outcome) {
  if (outcome.steps_size() == 0 || completion.ids_size() == 0) return;
  const std::vector<std::uint64_t> lengths = TextLengths(completion, tokenizer);
  // Bytes from the text's end are the same in both, whatever stands before it.
  const std::uint64_t text = completion.text().size();
  for (proto::StepScore& step : *outcome.mutable_steps()) {
    const std::uint64_t left = scored_bytes - step.end();
    const std::uint64_t end = left >= text ? 1 : text - left;
    const auto at = std::lower_bound(lengths.begin(), lengths.end(), end);
    const bool whole = left == 0 || at == lengths.end();
    step.set_token_end(whole ? lengths.size()
                             : static_cast<std::uint64_t>(at - lengths.begin()) + 1);
  }
}

}  // namespace aha::pipelines
