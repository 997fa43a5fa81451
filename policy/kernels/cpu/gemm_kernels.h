#pragma once
/// Inner interface of the matrix products: what a target provides. Use gemm.h.

#include <cstddef>

#include "policy/kernels/cpu/numbers.h"
#include "policy/kernels/cpu/packed_matrix.h"
#include "policy/kernels/cpu/target.h"

namespace aha::policy::cpu {

/// Rows of x against panels [panel_begin, panel_end) of W.
struct GemmCall {
  const void* x = nullptr;
  std::size_t x_stride = 0;  ///< numbers
  std::size_t rows = 0;
  const PackedMatrix* w = nullptr;
  std::size_t panel_begin = 0, panel_end = 0;
  std::size_t n = 0;  ///< columns of y
  void* y = nullptr;
  std::size_t y_stride = 0;
  const float* bias = nullptr;      ///< [n] or none
  bool add = false;                 ///< start from what y holds (fp32 only), before any product
  const std::byte* then = nullptr;  ///< a panel that is read next, most likely: asked for ahead
  std::size_t k_begin = 0;          ///< a multiple of 32
  std::size_t k_end = 0;            ///< a multiple of 32, or K
};

struct GemmKernels {
  void (*bf16_to_bf16)(const GemmCall&);
  void (*bf16_to_fp32)(const GemmCall&);
  void (*fp32)(const GemmCall&);
  /// W has panels of gate and up in turn; y = silu(gate) * up, panel pairs [panel_begin,
  /// panel_end).
  void (*bf16_swiglu)(const GemmCall&);
  void (*fp32_swiglu)(const GemmCall&);
};
const GemmKernels& GemmKernelsFor(KernelTarget target);

}  // namespace aha::policy::cpu
