#pragma once
/// ggml's number types on disk: plain ones, and blocks of 32 or 256 quantised weights that share
/// scales. Dequantisation is exact: fp32 operations in the order of ggml's reference, which is that
/// of the Python package `gguf`.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace aha::policy {

/// Values are those of the format.
enum class GgmlType : std::uint32_t {
  kF32 = 0,
  kF16 = 1,
  kQ4_0 = 2,
  kQ4_1 = 3,
  kQ5_0 = 6,
  kQ5_1 = 7,
  kQ8_0 = 8,
  kQ4_K = 12,
  kQ5_K = 13,
  kQ6_K = 14,
  kBF16 = 30,
};

struct GgmlLayout {
  std::string_view name;
  std::int64_t weights;  ///< in a block; blocks run along the last dimension
  std::int64_t bytes;    ///< of a block
};

/// Empty for a number that is none of the types above.
std::optional<GgmlType> GgmlTypeOf(std::uint32_t number);
const GgmlLayout& LayoutOf(GgmlType type);

/// What the format calls the types that are not read here ("Q2_K", "IQ4_NL", ...); "unknown" else.
std::string_view UnsupportedGgmlName(std::uint32_t number);

/// Whole blocks of `type` to fp32; `out` has as many floats as the blocks hold weights.
void Dequantize(GgmlType type, std::span<const std::byte> blocks, float* out);

}  // namespace aha::policy
