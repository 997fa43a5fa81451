#pragma once
/// Inner interface of the row operators: what a target provides. Use ops.h.

#include <cstddef>

#include "policy/kernels/cpu/numbers.h"
#include "policy/kernels/cpu/target.h"

namespace aha::policy::cpu {

/// Operators on a row of T (Bf16 or float); arithmetic is fp32.
template <class T>
struct RowOps {
  /// y = weight * T(x * scale), scale = 1 / sqrt(mean(x^2) + eps), which is returned.
  float (*rms_norm)(const T* x, const float* weight, float eps, std::size_t n, T* y);
  /// residual = T(residual + x), then as rms_norm of it.
  float (
      *add_rms_norm)(const T* x, T* residual, const float* weight, float eps, std::size_t n, T* y);
  /// dx from dy and the forward's x; returns the scale.
  float (*rms_norm_backward)(const T* x,
                             const T* dy,
                             const float* weight,
                             float eps,
                             std::size_t n,
                             T* dx);
  /// dweight[begin, end) += sum over rows of dy * x * scale, rows in order.
  void (*rms_norm_weight)(const Rows<const T>& x,
                          const Rows<const T>& dy,
                          const float* scale,
                          std::size_t begin,
                          std::size_t end,
                          float* dweight);
  void (*rotate)(const T* x,
                 const float* cos,
                 const float* sin,
                 bool interleaved,
                 bool back,
                 std::size_t width,
                 T* y);
  void (*swiglu)(const T* gate, const T* up, std::size_t n, T* y);
  void (*swiglu_backward)(const T* gate, const T* up, const T* dy, std::size_t n, T* dgate, T* dup);
  void (*add)(const T* a, const T* b, std::size_t n, T* y);
  /// y = T(sum over i of weight[i] * rows[i]), in order of i, products rounded before they are
  /// added.
  void (*weighted_sum)(const T* const* rows,
                       const float* weight,
                       std::size_t count,
                       std::size_t n,
                       T* y);
  /// y = T(x * scale)
  void (*scale)(const T* x, float scale, std::size_t n, T* y);
  float (*dot)(const T* a, const T* b, std::size_t n);
  void (*to_fp32)(const T* x, std::size_t n, float* y);
  void (*from_fp32)(const float* x, std::size_t n, T* y);
};

/// AdamW of one tensor: adamw.h's step, with `keep` = 1 - rate * decay.
struct AdamWFactors {
  float beta1, beta2, epsilon, rate, keep, correct1, correct2, gradient_scale;
};

struct OpsKernels {
  RowOps<Bf16> bf16;
  RowOps<float> fp32;
  /// y = sums (+ bias), as bf16 or fp32.
  void (*finish)(const float* sums, const float* bias, std::size_t n, bool bf16, void* y);
  /// As a bf16 SwiGLU's products end: all of gate, up, silu and product are rounded.
  void (*swiglu_row_bf16)(const float* gate, const float* up, std::size_t n, Bf16* y);
  /// e^x and 1 / (1 + e^-x) of n numbers.
  void (*exp)(const float* x, std::size_t n, float* y);
  void (*sigmoid)(const float* x, std::size_t n, float* y);
  /// Sum of squares in float64 of a row of at most 2^14 numbers.
  double (*square_sum)(const float* x, std::size_t n);
  void (*adamw_bf16)(const AdamWFactors& f,
                     const float* gradient,
                     std::size_t n,
                     float* master,
                     Bf16* first,
                     Bf16* second);
  void (*adamw_fp32)(const AdamWFactors& f,
                     const float* gradient,
                     std::size_t n,
                     float* master,
                     float* first,
                     float* second);
};
const OpsKernels& OpsKernelsFor(KernelTarget target);

}  // namespace aha::policy::cpu
