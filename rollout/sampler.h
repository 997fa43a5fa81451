#pragma once
/// How a draw becomes a token. The rule is fixed and written down in docs/sampling.md, because a
/// run's bits hang on it.

#include <cstdint>
#include <span>

namespace aha::rollout {

struct SamplingRule {
  double temperature = 1;       ///< 0: the likeliest token, lowest id among equals
  double top_p = 1;             ///< 1: off
  std::int64_t top_k = 0;       ///< 0: off
};

/// The token that `draw` in [0, 1) picks: the first in id order at which the running sum of
/// probabilities, in float64, exceeds draw * total over the tokens that top-k and top-p leave.
///
/// @param logprobs_V  log-softmax of logits / T, fp32.
std::int32_t PickToken(std::span<const float> logprobs_V, double draw, const SamplingRule& rule);

}  // namespace aha::rollout
