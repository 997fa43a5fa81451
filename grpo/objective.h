#pragma once
/// GRPO's loss on token log-probabilities (DeepSeekMath, arXiv:2402.03300, eq. 3 and 4; DeepSeek-R1,
/// arXiv:2501.12948, eq. 1 and 2), to be minimised.
///
/// Shapes: N completion tokens of a micro-batch.

#include <cstdint>

#include <ATen/core/Tensor.h>

namespace aha::grpo {

struct ObjectiveRule {
  double clip_low = 0.2;   ///< ratios below 1 - clip_low are clipped
  double clip_high = 0.2;  ///< ratios above 1 + clip_high are clipped
  double kl = 0;           ///< weight of k3 in the loss
};

struct ObjectiveParts {
  at::Tensor loss;     ///< scalar: sum over tokens of weight * (-min(rho A, clip(rho) A) + kl k3)
  double clipped = 0;  ///< tokens whose clipped branch was taken
  double kl_sum = 0;   ///< sum of k3 over tokens, unweighted; 0 without a reference
  double ratio_max = 0;
};

/// @param logprob_N    fp32, differentiable: log pi_theta of each token.
/// @param old_N        fp32, log pi_old; no gradient.
/// @param reference_N  fp32, log pi_ref; undefined when rule.kl is 0.
/// @param advantage_N  fp32.
/// @param weight_N     fp32: what a token's loss counts. Its denominators come from the whole batch
///                     before it is cut, so the loss of the batch is the sum over micro-batches.
ObjectiveParts GrpoLoss(const at::Tensor& logprob_N, const at::Tensor& old_N, const at::Tensor& reference_N,
                        const at::Tensor& advantage_N, const at::Tensor& weight_N, const ObjectiveRule& rule);

/// k3 = exp(d) - d - 1 with d = log pi_ref - log pi_theta (Schulman, "Approximating KL divergence"):
/// never negative, its expectation under pi_theta is KL(pi_theta || pi_ref).
at::Tensor K3(const at::Tensor& logprob_N, const at::Tensor& reference_N);

}  // namespace aha::grpo
