#include "base/keyed_random.h"

#include <gtest/gtest.h>

namespace aha {
namespace {

// The published known-answer vectors of Random123 (kat_vectors, philox4x32 10).
TEST(Philox, MatchesPublishedVectors) {
  EXPECT_EQ(Philox({0, 0, 0, 0}, {0, 0}),
            (std::array<std::uint32_t, 4>{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(Philox({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, {0xffffffff, 0xffffffff}),
            (std::array<std::uint32_t, 4>{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(Philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (std::array<std::uint32_t, 4>{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(KeyedRandom, DependsOnEveryPartOfItsKey) {
  const KeyedRandom a(1, "sample");
  EXPECT_EQ(a.With(3).With(4).Bits(5), KeyedRandom(1, "sample").With(3).With(4).Bits(5));
  EXPECT_NE(a.Bits(0), a.Bits(1));
  EXPECT_NE(a.Bits(0), KeyedRandom(2, "sample").Bits(0));
  EXPECT_NE(a.Bits(0), KeyedRandom(1, "sampld").Bits(0));
  EXPECT_NE(a.With(1).With(2).Bits(0), a.With(2).With(1).Bits(0));
}

TEST(KeyedRandom, IntegersCoverTheirRangeEvenly) {
  const KeyedRandom random(7, "test");
  std::array<int, 6> counts{};
  for (std::uint64_t i = 0; i < 60000; ++i)
    ++counts.at(static_cast<std::size_t>(random.Integer(i, -2, 3) + 2));
  for (const int count : counts)
    EXPECT_NEAR(count, 10000, 500);
}

TEST(KeyedRandom, NormalsHaveUnitMoments) {
  const KeyedRandom random(7, "normal");
  double sum = 0, squares = 0;
  for (std::uint64_t i = 0; i < 40000; ++i) {
    const double x = random.Normal(i);
    sum += x;
    squares += x * x;
  }
  EXPECT_NEAR(sum / 40000, 0, 0.02);
  EXPECT_NEAR(squares / 40000, 1, 0.03);
}

}  // namespace
}  // namespace aha
