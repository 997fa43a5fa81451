#pragma once
/// From bytes of the text that a reward saw to tokens of the completion.

#include <cstdint>
#include <vector>

#include "policy/tokenizer/tokenizer.h"
#include "proto/rewards.pb.h"
#include "proto/rollout.pb.h"

namespace aha::pipelines {

/// For each of completion.text's tokens, the bytes of the text that are there with it.
std::vector<std::uint64_t> TextLengths(const proto::Completion& completion,
                                       const policy::Tokenizer& tokenizer);

/// Sets token_end of every step: one past the first token with which the step's text is there. A
/// step that ends with the text ends with the completion: its stop token is part of it.
/// `scored_bytes` is the size of what the reward saw: the completion's text behind what the prompt
/// had begun, or without a blank before it.
void SetTokenEnds(const proto::Completion& completion,
                  std::uint64_t scored_bytes,
                  const policy::Tokenizer& tokenizer,
                  proto::Outcome& outcome);

}  // namespace aha::pipelines
