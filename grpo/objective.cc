#include "grpo/objective.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/min.h>
#include <ATen/ops/minimum.h>
#include <c10/core/GradMode.h>

namespace aha::grpo {

at::Tensor K3(const at::Tensor& logprob_N, const at::Tensor& reference_N) {
  const at::Tensor d_N = reference_N - logprob_N;
  return d_N.exp() - d_N - 1;
}

ObjectiveParts GrpoLoss(const at::Tensor& logprob_N, const at::Tensor& old_N, const at::Tensor& reference_N,
                        const at::Tensor& advantage_N, const at::Tensor& weight_N, const ObjectiveRule& rule) {
  ObjectiveParts parts;
  const at::Tensor ratio_N = (logprob_N - old_N).exp();
  const at::Tensor free_N = ratio_N * advantage_N;
  const at::Tensor clipped_N = ratio_N.clamp(1 - rule.clip_low, 1 + rule.clip_high) * advantage_N;
  at::Tensor loss_N = -at::minimum(free_N, clipped_N);
  if (rule.kl > 0) {
    const at::Tensor kl_N = K3(logprob_N, reference_N);
    loss_N = loss_N + rule.kl * kl_N;
    parts.kl_sum = kl_N.detach().sum(at::kDouble).item<double>();
  }
  {
    const at::NoGradGuard no_grad;
    parts.clipped = clipped_N.lt(free_N).sum().item<double>();
    parts.ratio_max = ratio_N.max().item<double>();
  }
  parts.loss = (loss_N * weight_N).sum();
  return parts;
}

}  // namespace aha::grpo
