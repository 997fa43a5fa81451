#include "policy/checkpoint/numbers.h"

#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace aha::policy {
namespace {

using testing::ElementsAre;

// The value of sign, exponent and mantissa by the definition of IEEE 754.
double ByDefinition(unsigned bits,
                    unsigned exponent_bits,
                    unsigned mantissa_bits,
                    bool has_infinity) {
  const unsigned exponent = (bits >> mantissa_bits) & ((1U << exponent_bits) - 1);
  const unsigned mantissa = bits & ((1U << mantissa_bits) - 1);
  const int bias = (1 << (exponent_bits - 1)) - 1;
  const double sign = ((bits >> (exponent_bits + mantissa_bits)) & 1U) != 0 ? -1 : 1;
  const bool top = exponent == (1U << exponent_bits) - 1;
  if (has_infinity && top) return mantissa == 0 ? sign * INFINITY : NAN;
  if (!has_infinity && top && mantissa == (1U << mantissa_bits) - 1) return NAN;
  const double fraction = mantissa / std::pow(2.0, mantissa_bits);
  return exponent == 0 ? sign * std::ldexp(fraction, 1 - bias)
                       : sign * std::ldexp(1 + fraction, static_cast<int>(exponent) - bias);
}

TEST(Numbers, EveryHalfIsExact) {
  for (unsigned bits = 0; bits < 65536; ++bits) {
    const double want = ByDefinition(bits, 5, 10, true);
    const float got = FloatOfHalf(static_cast<std::uint16_t>(bits));
    if (std::isnan(want)) {
      EXPECT_TRUE(std::isnan(got)) << bits;
    } else {
      ASSERT_EQ(got, want) << bits;
      ASSERT_EQ(std::signbit(got), std::signbit(want)) << bits;
    }
  }
}

TEST(Numbers, EveryE4M3IsExact) {
  for (unsigned bits = 0; bits < 256; ++bits) {
    const double want = ByDefinition(bits, 4, 3, false);
    const float got = FloatOfE4M3(static_cast<std::uint8_t>(bits));
    EXPECT_TRUE(std::isnan(want) ? std::isnan(got) : got == want) << bits;
  }
  EXPECT_EQ(FloatOfE4M3(0x7E), 448.F);
  EXPECT_EQ(FloatOfE4M3(0x38), 1.F);
}

TEST(Numbers, Bf16RoundsToTheNearestTiesToEven) {
  // 8 bits of mantissa, the hidden one included: steps of 2^-7 at 1.
  const std::pair<float, std::uint16_t> cases[] = {
      {1.F, 0x3F80},
      {1 + 0x1p-8F, 0x3F80},             // tie, down to even
      {1 + 3 * 0x1p-8F, 0x3F82},         // tie, up to even
      {1 + 0x1p-8F + 0x1p-20F, 0x3F81},  // above the tie
      {-1 - 3 * 0x1p-8F, 0xBF82},
      {0x1.FFFFFEp127F, 0x7F80},  // rounds to infinity
      {-0.F, 0x8000},
  };
  for (const auto& [value, want] : cases)
    EXPECT_EQ(Bf16OfFloat(value), want) << value;
  EXPECT_TRUE(std::isnan(FloatOfBf16(Bf16OfFloat(std::bit_cast<float>(0x7F800001U)))));
}

template <class T>
std::vector<std::byte> BytesOf(const std::vector<T>& values) {
  std::vector<std::byte> bytes(values.size() * sizeof(T));
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}
std::vector<float> ToFloats(SafetensorsDtype from,
                            const std::vector<std::byte>& bytes,
                            bool* finite) {
  std::vector<float> out(bytes.size() / DtypeSize(from));
  *finite =
      ConvertNumbers(from, bytes, SafetensorsDtype::kF32, reinterpret_cast<std::byte*>(out.data()));
  return out;
}

TEST(Numbers, EveryWeightTypeBecomesFp32) {
  bool finite = false;
  EXPECT_THAT(ToFloats(SafetensorsDtype::kF64, BytesOf<double>({1.5, -0.25}), &finite),
              ElementsAre(1.5F, -0.25F));
  EXPECT_THAT(ToFloats(SafetensorsDtype::kF32, BytesOf<float>({1.5, -0.25}), &finite),
              ElementsAre(1.5F, -0.25F));
  EXPECT_THAT(ToFloats(SafetensorsDtype::kF16, BytesOf<std::uint16_t>({0x3E00, 0xB400}), &finite),
              ElementsAre(1.5F, -0.25F));
  EXPECT_THAT(ToFloats(SafetensorsDtype::kBF16, BytesOf<std::uint16_t>({0x3FC0, 0xBE80}), &finite),
              ElementsAre(1.5F, -0.25F));
  EXPECT_TRUE(finite);
}

TEST(Numbers, WhatIsNotFiniteIsReported) {
  bool finite = true;
  ToFloats(SafetensorsDtype::kF16, BytesOf<std::uint16_t>({0x3E00, 0x7C00}), &finite);
  EXPECT_FALSE(finite);
  ToFloats(SafetensorsDtype::kF64, BytesOf<double>({1e300}), &finite);
  EXPECT_FALSE(finite);
  std::array<std::byte, 2> out{};
  const auto large = BytesOf<float>({std::numeric_limits<float>::max()});
  EXPECT_FALSE(ConvertNumbers(SafetensorsDtype::kF32, large, SafetensorsDtype::kBF16, out.data()));
}

TEST(Numbers, OneNumberOfManyThatIsNotFiniteIsSeenWhereverItLies) {
  for (const std::size_t bad :
       {std::size_t{0}, std::size_t{15}, std::size_t{16}, std::size_t{70}}) {
    std::vector<std::uint16_t> halves(71, 0xFF7F);  // the lowest finite bf16
    EXPECT_TRUE(AllFinite(SafetensorsDtype::kBF16, std::as_bytes(std::span(halves))));
    halves[bad] = 0xFF80;
    EXPECT_FALSE(AllFinite(SafetensorsDtype::kBF16, std::as_bytes(std::span(halves))));
    std::vector<float> floats(71, std::numeric_limits<float>::lowest());
    EXPECT_TRUE(AllFinite(SafetensorsDtype::kF32, std::as_bytes(std::span(floats))));
    floats[bad] = std::numeric_limits<float>::quiet_NaN();
    EXPECT_FALSE(AllFinite(SafetensorsDtype::kF32, std::as_bytes(std::span(floats))));
  }
  EXPECT_TRUE(AllFinite(SafetensorsDtype::kBF16, {}));
}

TEST(Numbers, Fp8BlocksOf128By128TakeTheirOwnScale) {
  // 130 x 129: four blocks, three of them narrow. All weights are 1.5 (0x3C), scales 1, 2, 4, 8.
  const std::vector<std::byte> weights(130 * 129, std::byte{0x3C});
  const auto scales = BytesOf<float>({1, 2, 4, 8});
  std::vector<float> out(3 * 129);
  ASSERT_TRUE(DequantizeFp8Rows(weights, scales, 129, 127, 130, SafetensorsDtype::kF32,
                                reinterpret_cast<std::byte*>(out.data())));
  EXPECT_EQ(out[0], 1.5F);
  EXPECT_EQ(out[127], 1.5F);
  EXPECT_EQ(out[128], 3.F);
  EXPECT_EQ(out[129], 6.F);
  EXPECT_EQ(out[129 + 128], 12.F);
  std::vector<std::uint16_t> half(129);
  ASSERT_TRUE(DequantizeFp8Rows(weights, scales, 129, 129, 130, SafetensorsDtype::kBF16,
                                reinterpret_cast<std::byte*>(half.data())));
  EXPECT_EQ(FloatOfBf16(half[128]), 12.F);
}

TEST(Numbers, Fp8NanIsReported) {
  const std::vector<std::byte> weights(1, std::byte{0x7F});
  float out = 0;
  EXPECT_FALSE(DequantizeFp8Rows(weights, BytesOf<float>({1}), 1, 0, 1, SafetensorsDtype::kF32,
                                 reinterpret_cast<std::byte*>(&out)));
}

}  // namespace
}  // namespace aha::policy
