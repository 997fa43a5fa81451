#pragma once
/// Mixture of experts in three separate steps, routing, dispatch to experts, combine, so that
/// experts can live elsewhere one day: combine adds in slot order on the token's own side.
///
/// Shapes: T tokens, H hidden, E routed experts, K experts per token (slots).

#include <cstdint>
#include <vector>

#include <ATen/core/Tensor.h>

#include "policy/reference/ops.h"

namespace aha::policy::reference::kernels {

/// How the gate chooses (DeepSeek-V3, arXiv:2412.19437, eq. 12-16, and its softmax ancestors).
struct GateRule {
  std::int64_t experts_per_token = 1;
  std::int64_t groups = 1;
  std::int64_t kept_groups = 1;
  bool normalise = true;
  double scaling = 1;
  bool softmax = false;                  ///< affinities over all experts; else a sigmoid each
  std::int64_t group_score_experts = 2;  ///< a group's score is the sum of its best so many
};

struct Routing {
  at::Tensor experts_TK;  ///< int64, best first; of equal scores the lower expert first
  at::Tensor weights_TK;  ///< fp32, from the unbiased scores
  at::Tensor scores_TE;   ///< fp32, affinities before the bias
};

/// Gate in fp32; groups by the sum of their best biased scores; the bias decides selection only.
/// @param bias_E  fp32 [E], no gradient; undefined: none.
Routing Route(const at::Tensor& x_TH,
              const PackedMatrix& gate_EH,
              const at::Tensor& bias_E,
              const GateRule& rule);

/// One SwiGLU network. Biases are undefined where a model has none.
struct ExpertWeights {
  PackedMatrix gate;  ///< [I, H]
  PackedMatrix up;    ///< [I, H]
  PackedMatrix down;  ///< [H, I]
  at::Tensor gate_bias, up_bias, down_bias;
};
at::Tensor RunExpert(const at::Tensor& x_TH, const ExpertWeights& weights);

/// Sum over slots of weight * expert(x), slots added first to last in fp32.
at::Tensor RunRoutedExperts(const at::Tensor& x_TH,
                            const Routing& routing,
                            const std::vector<ExpertWeights>& experts);

/// Sequence-wise balance loss (V3, eq. 17-20), summed over the sequences, before alpha:
/// sum_i f_i P_i, f from the top K of the unbiased scores and constant for the gradient.
/// @param sequence_T  int64 [T]: the sequence of each token, in [0, lengths.size()).
at::Tensor BalanceLoss(const at::Tensor& scores_TE,
                       std::int64_t experts_per_token,
                       const at::Tensor& sequence_T,
                       const std::vector<std::int64_t>& lengths_S);

/// Tokens sent to each expert: int64 [E].
at::Tensor ExpertLoad(const at::Tensor& experts_TK, std::int64_t experts);

}  // namespace aha::policy::reference::kernels
