#pragma once
/// What the tests of CPU kernels share: every target of this machine, random rows, float64
/// references, equality of bits.

#include <cmath>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "policy/kernels/cpu/cpu.h"
#include "policy/kernels/cpu/numbers.h"

namespace aha::policy::cpu {

/// Runs on every target of this machine; `one` has a thread, `three` have three.
class KernelTest : public testing::TestWithParam<KernelTarget> {
 protected:
  Cpu one{GetParam(), 1};
  Cpu three{GetParam(), 3};
};

#define AHA_EVERY_TARGET(Suite)                                                        \
  INSTANTIATE_TEST_SUITE_P(Target, Suite, testing::ValuesIn(SupportedKernelTargets()), \
                           [](const auto& p) { return std::string(KernelTargetName(p.param)); })

/// Owned rows.
template <class T>
struct Matrix {
  std::size_t count = 0, width = 0;
  std::vector<T> numbers;

  Matrix() = default;
  Matrix(std::size_t rows, std::size_t columns)
      : count(rows), width(columns), numbers(rows * columns) {}
  Rows<T> rows() { return {numbers.data(), count, width}; }
  [[nodiscard]] Rows<const T> rows() const { return {numbers.data(), count, width}; }
  [[nodiscard]] Rows<const T> rows(std::size_t first, std::size_t some) const {
    return {numbers.data() + first * width, some, width};
  }
  Rows<T> rows(std::size_t first, std::size_t some) {
    return {numbers.data() + first * width, some, width};
  }
  T* operator[](std::size_t row) { return numbers.data() + row * width; }
  const T* operator[](std::size_t row) const { return numbers.data() + row * width; }
  [[nodiscard]] double at(std::size_t row, std::size_t column) const {
    if constexpr (std::is_same_v<T, double>) {
      return numbers[row * width + column];
    } else {
      return double{ToFloat(numbers[row * width + column])};
    }
  }
};

template <class T>
Matrix<T> RandomMatrix(std::size_t rows, std::size_t columns, unsigned seed, float size = 1) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, size);
  Matrix<T> m(rows, columns);
  for (T& x : m.numbers)
    x = FromFloat<T>(normal(random));
  return m;
}

/// Equal to the last bit, row by row.
template <class T>
testing::AssertionResult SameBits(const T* a, const T* b, std::size_t n) {
  for (std::size_t i = 0; i < n; ++i) {
    if (std::memcmp(a + i, b + i, sizeof(T)) != 0) {
      return testing::AssertionFailure()
             << "number " << i << " of " << n << ": " << ToFloat(a[i]) << " and " << ToFloat(b[i]);
    }
  }
  return testing::AssertionSuccess();
}
template <class T>
testing::AssertionResult SameBits(const Matrix<T>& a, const Matrix<T>& b) {
  if (a.numbers.size() != b.numbers.size()) return testing::AssertionFailure() << "sizes differ";
  return SameBits(a.numbers.data(), b.numbers.data(), a.numbers.size());
}

/// What a result of T may differ from float64 by: half a unit of its last place and `slack` for the
/// sums before.
template <class T>
double Tolerance(double value, double slack) {
  return std::fabs(value) * (std::is_same_v<T, Bf16> ? 0x1p-8 : 0x1p-23) + slack;
}

}  // namespace aha::policy::cpu
