#pragma once
/// What the CUDA kernels' code is written in. A kernel's body is a template over the block that
/// runs it: nvcc compiles it for a GPU's threads, the host's compiler for a loop over the same
/// lanes. So its indexing and its arithmetic are tested where there is no GPU.
///
/// A body is a row of phases, `block.Lanes(f)`: f(lane) for each of kLanes lanes, then a barrier.
/// Lanes of a phase do not read what another lane of that phase writes; a value in shared memory
/// that decides which phase comes next is read through `block.Read`. All sums have an order that
/// the lanes' number fixes: no atomics, no dependence on the size of a launch.

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "policy/kernels/cpu/numbers.h"

#ifdef __CUDACC__
#define AHA_DEVICE __device__
#define AHA_HOST_DEVICE __host__ __device__
#else
#define AHA_DEVICE
#define AHA_HOST_DEVICE
#endif

namespace aha::policy::cuda {

using cpu::Bf16;

constexpr int kLanes = 256;  ///< threads of a block

template <class To, class From>
AHA_HOST_DEVICE inline To BitCast(From from) {
  static_assert(sizeof(To) == sizeof(From));
  To to;
  memcpy(&to, &from, sizeof(To));
  return to;
}

AHA_HOST_DEVICE inline float Widen(float x) {
  return x;
}
AHA_HOST_DEVICE inline float Widen(Bf16 x) {
  return BitCast<float>(static_cast<std::uint32_t>(x.bits) << 16);
}

/// To the nearest number of the type, ties to even.
AHA_HOST_DEVICE inline void Put(float& to, float x) {
  to = x;
}
AHA_HOST_DEVICE inline void Put(Bf16& to, float x) {
  const auto bits = BitCast<std::uint32_t>(x);
  to.bits = (bits & 0x7FFFFFFFU) > 0x7F800000U
                ? static_cast<std::uint16_t>((bits >> 16) | 0x40U)
                : static_cast<std::uint16_t>((bits + 0x7FFFU + ((bits >> 16) & 1U)) >> 16);
}

/// e^x for x <= 0, in fp32 to two units of the last place; 0 below -87. NaN stays NaN.
AHA_HOST_DEVICE inline float ExpLow(float x) {
  if (!(x >= -87.0F)) return x < 0 ? 0.0F : x;
  const float n = rintf(x * 1.44269504F);
  float r = fmaf(n, -0.693359375F, x);
  r = fmaf(n, 2.12194440e-4F, r);
  float p = 1.0F / 5040;
  p = fmaf(p, r, 1.0F / 720);
  p = fmaf(p, r, 1.0F / 120);
  p = fmaf(p, r, 1.0F / 24);
  p = fmaf(p, r, 1.0F / 6);
  p = fmaf(p, r, 0.5F);
  p = fmaf(p * r, r, r) + 1.0F;
  return p * BitCast<float>(static_cast<std::uint32_t>(static_cast<int>(n) + 127) << 23);
}

/// e^x for x <= 0, in float64 within a unit of the last place; 0 below -708. As the CPU's.
AHA_HOST_DEVICE inline double ExpLow64(double x) {
  if (!(x >= -708.0)) return x < 0 ? 0.0 : x;
  const double n = rint(x * 1.4426950408889634);
  double r = fma(-n, 6.93147180369123816490e-01, x);
  r = fma(-n, 1.90821492927058770002e-10, r);
  double p = 1.0 / 6227020800;
  p = fma(p, r, 1.0 / 479001600);
  p = fma(p, r, 1.0 / 39916800);
  p = fma(p, r, 1.0 / 3628800);
  p = fma(p, r, 1.0 / 362880);
  p = fma(p, r, 1.0 / 40320);
  p = fma(p, r, 1.0 / 5040);
  p = fma(p, r, 1.0 / 720);
  p = fma(p, r, 1.0 / 120);
  p = fma(p, r, 1.0 / 24);
  p = fma(p, r, 1.0 / 6);
  p = fma(p, r, 0.5);
  p = fma(r * r, p, r) + 1.0;
  return p * BitCast<double>(static_cast<std::uint64_t>(static_cast<std::int64_t>(n) + 1023) << 52);
}

/// Sum of values[0, kLanes) by a fixed tree, left in values[0].
template <class Block, class T>
AHA_DEVICE void SumLanes(Block& block, T* values) {
  for (int half = kLanes / 2; half > 0; half /= 2) {
    block.Lanes([&](int lane) {
      if (lane < half) values[lane] += values[lane + half];
    });
  }
}

}  // namespace aha::policy::cuda
