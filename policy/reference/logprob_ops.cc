#include "policy/reference/logprob_ops.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/log_softmax.h>
#include <c10/core/GradMode.h>

namespace aha::policy::reference::kernels {

at::Tensor Logits(const at::Tensor& hidden_TH, const PackedMatrix& head_VH) {
  return Linear(hidden_TH, head_VH).to(at::kFloat);
}

TokenLogprobs LogprobsOf(const at::Tensor& hidden_TH,
                         const PackedMatrix& head_VH,
                         const at::Tensor& target_T,
                         double temperature,
                         bool with_entropy) {
  at::Tensor logits_TV = Logits(hidden_TH, head_VH);
  if (temperature != 1) logits_TV = logits_TV / temperature;
  const at::Tensor all_TV = at::log_softmax(logits_TV, -1);
  TokenLogprobs out;
  out.logprob_T = all_TV.gather(1, target_T.unsqueeze(1)).squeeze(1);
  if (with_entropy) {
    const at::NoGradGuard no_grad;
    out.entropy_T = -(all_TV.exp() * all_TV).sum(-1);
  }
  return out;
}

}  // namespace aha::policy::reference::kernels
