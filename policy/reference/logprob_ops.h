#pragma once
/// Log-probabilities of tokens: log-softmax of logits / T over the whole vocabulary, never
/// truncated.
///
/// Shapes: T positions, H hidden, V vocabulary.

#include <ATen/core/Tensor.h>

#include "policy/reference/ops.h"

namespace aha::policy::reference::kernels {

struct TokenLogprobs {
  at::Tensor logprob_T;  ///< fp32 [T], differentiable
  at::Tensor
      entropy_T;  ///< fp32 [T], of the whole distribution, no gradient; undefined unless asked
};

/// @param hidden_TH   after the final norm.
/// @param target_T    int64 [T].
/// @param temperature > 0.
TokenLogprobs LogprobsOf(const at::Tensor& hidden_TH,
                         const PackedMatrix& head_VH,
                         const at::Tensor& target_T,
                         double temperature,
                         bool with_entropy);

/// Logits in fp32: [T, V].
at::Tensor Logits(const at::Tensor& hidden_TH, const PackedMatrix& head_VH);

}  // namespace aha::policy::reference::kernels
