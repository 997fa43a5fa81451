#pragma once
/// AdamW over fp32 masters, handing on the weights in the same pass; and the gradient's norm,
/// summed in a fixed tree.
///
/// Shapes: a matrix is [N, K]; a norm or bias is [1, H].

#include <functional>
#include <span>

#include "policy/kernels/cpu/cpu.h"
#include "policy/kernels/cpu/numbers.h"

namespace aha::policy::cpu {

struct AdamWStep {
  float rate = 0, beta1 = 0.9F, beta2 = 0.95F, epsilon = 1e-8F;
  float decay = 0;           ///< of this tensor
  float correct1 = 1;        ///< 1 / (1 - beta1^step)
  float correct2 = 1;        ///< 1 / (1 - beta2^step)
  float gradient_scale = 1;  ///< clipping
};

/// Takes new weights, of rows [first, first + count): as they are, and rounded. Called by any
/// thread, with whole panels of 32 rows (the last may be less): no two write one cache line of a
/// packed form.
using WriteWeights =
    std::function<void(std::size_t first, Rows<const float> master, Rows<const Bf16> rounded)>;

/// Moments are fp32 or bf16 (rounded to nearest even: a beta2 above 0.99 then stalls, as its decay
/// is below half a unit). g = gradient * gradient_scale; m and v as usual; master = master * (1 -
/// rate * decay) - rate * (m * correct1) / (sqrt(v * correct2) + epsilon). `write`, where given, is
/// shown the new weights while they are in the nearest cache.
template <class M>
void AdamWUpdate(const Cpu& cpu,
                 const AdamWStep& step,
                 Rows<float> master,
                 Rows<const float> gradient,
                 Rows<M> first,
                 Rows<M> second,
                 const WriteWeights& write = {});

/// Sum of squares in float64: blocks of 2^14 numbers, their sums added in a binary tree over
/// blocks.
double SquareSum(const Cpu& cpu, std::span<const float> numbers);

}  // namespace aha::policy::cpu
