#pragma once
/// Gradients of matrix products' weights. (Gradients of inputs are Gemm with the transposed
/// matrix.)
///
/// Shapes: T tokens, x [T, K], dy [T, N], dW [N, K].

#include "policy/kernels/cpu/cpu.h"
#include "policy/kernels/cpu/numbers.h"

namespace aha::policy::cpu {

/// dW += dy^T x. Each number of dW starts from what is in memory and takes the tokens one by one,
/// in order, each by a fused multiply-add in fp32 (a product and a sum where a target has none). So
/// tokens may be cut into calls anywhere: the bits are the same. (vdpbf16ps takes a pair of tokens
/// as two such steps, each rounded, the upper half first; the earlier token is put there, and half
/// a pair is filled with a zero.)
void WeightGradient(const Cpu& cpu, Rows<const Bf16> dy, Rows<const Bf16> x, Rows<float> dw);
void WeightGradient(const Cpu& cpu, Rows<const float> dy, Rows<const float> x, Rows<float> dw);
/// Bias: db += sum of dy over tokens, in order.
template <class T>
void BiasGradient(const Cpu& cpu, Rows<const T> dy, float* db_N);

}  // namespace aha::policy::cpu
