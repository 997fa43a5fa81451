#pragma once
/// Number types of weights on disk, turned into those of weights in memory. No LibTorch here.

#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>

#include "policy/checkpoint/safetensors.h"

namespace aha::policy {

inline float FloatOfBf16(std::uint16_t bits) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16U);
}
/// Exact, subnormals, infinities and NaN included.
inline float FloatOfHalf(std::uint16_t bits) {
  const std::uint32_t magnitude = (bits & 0x7FFFU) << 13U;
  // 2^112 moves the exponent's bias from 15 to 127; infinity and NaN keep an exponent of all ones.
  const auto finite = std::bit_cast<std::uint32_t>(std::bit_cast<float>(magnitude) * 0x1p112F);
  const bool special = static_cast<std::int32_t>(magnitude) >= 0x0F800000;
  const std::uint32_t value = special ? magnitude | 0x7F800000U : finite;
  return std::bit_cast<float>(value | (bits & 0x8000U) << 16U);
}
/// Rounds to the nearest, ties to even; NaN stays NaN. The rule of PyTorch.
inline std::uint16_t Bf16OfFloat(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t rounded = (bits + 0x7FFFU + ((bits >> 16U) & 1U)) >> 16U;
  return static_cast<std::uint16_t>((bits & 0x7FFFFFFFU) > 0x7F800000U ? 0x7FC0U : rounded);
}
/// FP8 e4m3 "fn": 4 exponent bits with bias 7, no infinity, NaN is 0x7F and 0xFF, largest 448.
float FloatOfE4M3(std::uint8_t bits);

/// Whether numbers of `from` can become weights: F64, F32, F16, BF16.
bool IsWeightType(SafetensorsDtype from);

/// Converts numbers of one type (F64, F32, F16, BF16) to F32 or BF16, rounding to the nearest.
/// Neither side needs to be aligned. False when a result is NaN or infinite (all of `out` is
/// written still).
bool ConvertNumbers(SafetensorsDtype from,
                    std::span<const std::byte> in,
                    SafetensorsDtype to,
                    std::byte* out);

/// Whether none of these F32 or BF16 numbers is NaN or infinite. They need not be aligned.
bool AllFinite(SafetensorsDtype type, std::span<const std::byte> numbers);

/// Rounds fp32 values to `to` (F32 or BF16) into `out`; false when one is NaN or infinite.
bool StoreFloats(std::span<const float> values, SafetensorsDtype to, std::byte* out);

/// Side of the square of weights that shares one scale in DeepSeek-V3's FP8 files.
inline constexpr std::int64_t kFp8Block = 128;

/// Rows [first, last) of an FP8 matrix: W = W8 * scale, a scale for each block of 128 x 128 (the
/// last ones may be smaller). `weights` and `scales` (fp32) are the whole tensors' bytes, `columns`
/// the matrix's width; `out` gets the rows alone. False when a result is NaN or infinite.
bool DequantizeFp8Rows(std::span<const std::byte> weights,
                       std::span<const std::byte> scales,
                       std::int64_t columns,
                       std::int64_t first,
                       std::int64_t last,
                       SafetensorsDtype to,
                       std::byte* out);

}  // namespace aha::policy
