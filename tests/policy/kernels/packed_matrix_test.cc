#include "policy/kernels/cpu/packed_matrix.h"

#include <cstring>
#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace aha::policy::cpu {
namespace {

struct Case {
  const char* name;
  std::size_t n, k;
  std::vector<std::size_t> pieces;  // rows packed at a time
};

class PackedMatrixTest : public testing::TestWithParam<Case> {};

// The place of (row, column) as the class comment gives it.
template <class T>
T At(const PackedMatrix& packed, std::size_t row, std::size_t k) {
  const std::byte* panel = packed.panel(row / 32);
  const std::size_t lane = row % 32;
  T value;
  const std::size_t index = sizeof(T) == 2 ? (k / 2 * 32 + lane) * 2 + k % 2 : k * 32 + lane;
  std::memcpy(&value, panel + index * sizeof(T), sizeof(T));
  return value;
}

std::vector<float> Numbers(std::size_t count) {
  std::mt19937 random(3);
  std::vector<float> numbers(count);
  for (float& x : numbers)
    x = static_cast<float>(static_cast<int>(random() % 20001) - 10000) / 777.0F;
  return numbers;
}

// Rows that lie `stride` apart, packed in pieces, lie where the form says; all else is zero.
template <class T>
void CheckPlaces(const Case& c, NumberKind kind) {
  const std::size_t stride = c.k + 3;
  const std::vector<float> floats = Numbers(c.n * stride);
  std::vector<T> numbers;
  for (const float x : floats)
    numbers.push_back(FromFloat<T>(x));
  PackedMatrix packed(c.n, c.k, kind);
  std::size_t first = 0;
  for (const std::size_t rows : c.pieces) {
    packed.Pack(first, Rows<const T>(numbers.data() + first * stride, rows, c.k, stride));
    first += rows;
  }
  ASSERT_EQ(first, c.n);
  for (std::size_t row = 0; row < packed.panels() * 32; ++row) {
    for (std::size_t k = 0; k < packed.padded_k(); ++k) {
      const bool inside = row < c.n && k < c.k;
      const float x = inside ? ToFloat(numbers[row * stride + k]) : 0.0F;
      if (kind == NumberKind::kBf16) {
        ASSERT_EQ(At<Bf16>(packed, row, k).bits, ToBf16(x).bits) << row << ", " << k;
      } else {
        ASSERT_EQ(At<float>(packed, row, k), x) << row << ", " << k;
      }
    }
  }
}

TEST_P(PackedMatrixTest, EveryNumberLiesInItsPlace) {
  CheckPlaces<Bf16>(GetParam(), NumberKind::kBf16);
  CheckPlaces<float>(GetParam(), NumberKind::kBf16);
  CheckPlaces<Bf16>(GetParam(), NumberKind::kFp32);
  CheckPlaces<float>(GetParam(), NumberKind::kFp32);
}

INSTANTIATE_TEST_SUITE_P(Shapes,
                         PackedMatrixTest,
                         testing::Values(Case{"one", 1, 1, {1}},
                                         Case{"odd", 7, 65, {3, 4}},
                                         Case{"panel", 32, 64, {32}},
                                         Case{"across_panels", 70, 129, {31, 5, 34}},
                                         Case{"row_by_row", 33, 31,
                                              std::vector<std::size_t>(33, 1)},
                                         Case{"long", 40, 1000, {40}}),
                         [](const auto& p) { return std::string(p.param.name); });

TEST(PackedGateUp, HalvesPackedInPiecesAreThoseReadBack) {
  constexpr std::size_t kWidth = 70, kInputs = 9;
  PackedGateUp packed(kWidth, kInputs, NumberKind::kFp32);
  const std::vector<float> numbers = Numbers(2 * kWidth * kInputs);
  const Rows<const float> gate(numbers.data(), kWidth, kInputs);
  const Rows<const float> up(numbers.data() + kWidth * kInputs, kWidth, kInputs);
  packed.Pack(PackedGateUp::Half::kGate, 0, Rows<const float>(gate[0], 40, kInputs));
  packed.Pack(PackedGateUp::Half::kGate, 40, Rows<const float>(gate[40], 30, kInputs));
  packed.Pack(PackedGateUp::Half::kUp, 0, up);
  std::vector<float> back(numbers.size());
  packed.Unpack(PackedGateUp::Half::kGate, 0, Rows<float>(back.data(), kWidth, kInputs));
  packed.Unpack(PackedGateUp::Half::kUp, 0,
                Rows<float>(back.data() + kWidth * kInputs, kWidth, kInputs));
  EXPECT_EQ(back, numbers);
  EXPECT_EQ(At<float>(packed.both(), 32 + 5, 2), up[5][2]);
  EXPECT_EQ(At<float>(packed.both(), 64 + 1, 2), gate[33][2]);
}

TEST(LastingBuffer, IsZeroAlignedAndApartFromItsNeighbours) {
  std::vector<Buffer> buffers;
  for (std::size_t i = 0; i < 40; ++i) {  // several slabs, small and huge ones among them
    const std::size_t bytes = i % 9 == 8 ? (std::size_t{5} << 20U) : 1000 + i * 50021;
    Buffer buffer = Buffer::Lasting(bytes);
    ASSERT_EQ(buffer.size(), bytes);
    ASSERT_EQ(reinterpret_cast<std::uintptr_t>(buffer.data()) % 64, 0U);
    for (std::size_t at = 0; at < bytes; at += 997)
      ASSERT_EQ(buffer.data()[at], std::byte{0});
    std::memset(buffer.data(), static_cast<int>(i + 1), bytes);
    buffers.push_back(std::move(buffer));
    if (i % 7 == 6) buffers[i / 2] = Buffer();  // given back while others of its slab live
  }
  for (std::size_t i = 0; i < buffers.size(); ++i) {
    if (buffers[i].size() == 0) continue;
    ASSERT_EQ(buffers[i].data()[0], static_cast<std::byte>(i + 1));
    ASSERT_EQ(buffers[i].data()[buffers[i].size() - 1], static_cast<std::byte>(i + 1));
  }
  EXPECT_EQ(Buffer::Lasting(0).size(), 0U);
}

}  // namespace
}  // namespace aha::policy::cpu
