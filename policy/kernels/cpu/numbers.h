#pragma once
/// The number types that kernels read and write, and a view of rows of them.

#include <bit>
#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace aha::policy::cpu {

/// bfloat16: the upper half of a float.
struct Bf16 {
  std::uint16_t bits;
};

inline float ToFloat(Bf16 x) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(x.bits) << 16);
}
inline float ToFloat(float x) {
  return x;
}

/// Nearest bfloat16, ties to even; a NaN stays one (quiet).
inline Bf16 ToBf16(float x) {
  const auto bits = std::bit_cast<std::uint32_t>(x);
  if ((bits & 0x7FFFFFFFU) > 0x7F800000U) return {static_cast<std::uint16_t>((bits >> 16) | 0x40U)};
  return {static_cast<std::uint16_t>((bits + 0x7FFFU + ((bits >> 16) & 1U)) >> 16)};
}

template <class T>
T FromFloat(float x) {
  if constexpr (std::is_same_v<T, Bf16>) {
    return ToBf16(x);
  } else {
    return x;
  }
}

/// Rows of numbers, `stride` apart. Borrowed: whoever makes it owns the numbers.
template <class T>
struct Rows {
  T* data = nullptr;
  std::size_t count = 0;
  std::size_t width = 0;
  std::size_t stride = 0;

  Rows() = default;
  Rows(T* first, std::size_t rows, std::size_t columns)
      : data(first), count(rows), width(columns), stride(columns) {}
  Rows(T* first, std::size_t rows, std::size_t columns, std::size_t apart)
      : data(first), count(rows), width(columns), stride(apart) {}
  template <class U>
  requires(std::is_same_v<T, const U>)
      Rows(const Rows<U>& other)  // NOLINT(google-explicit-constructor): as T* to const T*
      : data(other.data), count(other.count), width(other.width), stride(other.stride) {}

  T* operator[](std::size_t row) const { return data + row * stride; }
};

}  // namespace aha::policy::cpu
