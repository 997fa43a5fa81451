#pragma once
/// Matrix products with packed weights. A row of y depends on its row of x and on W alone: the same
/// bits for any number of rows beside it and any number of threads.
///
/// Shapes: x [T, K], W [N, K], y [T, N].

#include <span>

#include "policy/kernels/cpu/cpu.h"
#include "policy/kernels/cpu/numbers.h"
#include "policy/kernels/cpu/packed_matrix.h"

namespace aha::policy::cpu {

/// y = x W^T (+ bias [N]), summed in fp32 over k in one order, rounded once. W holds the kind of
/// number that x is.
void Gemm(const Cpu& cpu,
          Rows<const Bf16> x,
          const PackedMatrix& w,
          Rows<Bf16> y,
          const float* bias = nullptr);
void Gemm(const Cpu& cpu,
          Rows<const Bf16> x,
          const PackedMatrix& w,
          Rows<float> y,
          const float* bias = nullptr);
void Gemm(const Cpu& cpu,
          Rows<const float> x,
          const PackedMatrix& w,
          Rows<float> y,
          const float* bias = nullptr);
/// y += x W^T: each sum starts from what y holds.
void GemmAdd(const Cpu& cpu, Rows<const Bf16> x, const PackedMatrix& w, Rows<float> y);
void GemmAdd(const Cpu& cpu, Rows<const float> x, const PackedMatrix& w, Rows<float> y);

/// One product a head, as MLA's absorption wants: y_a = x_a W_a^T, where x_a is columns [a *
/// x_apart, .. + K) of x and y_a columns [a * y_apart, .. + N) of y. All W_a [N, K] have one shape.
void GemmHeads(const Cpu& cpu,
               Rows<const Bf16> x,
               std::size_t x_apart,
               std::span<const PackedMatrix* const> w_A,
               Rows<Bf16> y,
               std::size_t y_apart);
void GemmHeads(const Cpu& cpu,
               Rows<const float> x,
               std::size_t x_apart,
               std::span<const PackedMatrix* const> w_A,
               Rows<float> y,
               std::size_t y_apart);

/// y [T, I] = silu(x gate^T) * (x up^T). bf16 is rounded after gate, up, silu and product, as
/// separate operators do.
void GateUpSwiGlu(const Cpu& cpu, Rows<const Bf16> x, const PackedGateUp& w, Rows<Bf16> y);
void GateUpSwiGlu(const Cpu& cpu, Rows<const float> x, const PackedGateUp& w, Rows<float> y);

}  // namespace aha::policy::cpu
