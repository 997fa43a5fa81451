#pragma once
/// Inner interface of gradients: what a target provides. Use weight_gradient.h and
/// attention_backward.h.

#include <cstddef>

#include "policy/kernels/cpu/numbers.h"
#include "policy/kernels/cpu/target.h"

namespace aha::policy::cpu {

/// Rows [begin, end) of dW.
template <class T>
struct WeightGradientCall {
  Rows<const T> dy, x;
  Rows<float> dw;
  std::size_t begin = 0, end = 0;
};

/// One key-value head of one sequence: L tokens, `group` query heads that read it, after a context
/// of C tokens whose keys and values lie elsewhere. Row t of a pointer's tensor is `..._stride`
/// numbers after row t - 1; query heads of a token are side by side.
template <class T>
struct AttentionGradientCall {
  std::size_t length = 0, group = 0, key_width = 0, value_width = 0;
  bool latent = false;  ///< values are the keys' first numbers; their gradient goes into dk
  float scale = 1;
  const T *q = nullptr, *k = nullptr, *v = nullptr, *y = nullptr, *dy = nullptr;
  const float* lse = nullptr;
  T *dq = nullptr, *dk = nullptr, *dv = nullptr;
  std::size_t q_stride = 0, k_stride = 0, v_stride = 0, y_stride = 0,
              lse_stride = 0;  ///< gradients lie as their tensors do
  std::size_t context = 0;
  const T *k_context = nullptr, *v_context = nullptr;  ///< strides of k and v
  /// What gradients of the context's keys and values are added to, and what the sequence's own
  /// start from (null: zero): fp32, `sum_stride` numbers a token.
  float *dk_context = nullptr, *dv_context = nullptr;
  const float *dk_from = nullptr, *dv_from = nullptr;
  std::size_t dk_sum_stride = 0, dv_sum_stride = 0;
};

struct GradientKernels {
  void (*weight_bf16)(const WeightGradientCall<Bf16>&);
  void (*weight_fp32)(const WeightGradientCall<float>&);
  void (*attention_bf16)(const AttentionGradientCall<Bf16>&);
  void (*attention_fp32)(const AttentionGradientCall<float>&);
};
const GradientKernels& GradientKernelsFor(KernelTarget target);

}  // namespace aha::policy::cpu
