#include "policy/kernels/cpu/amx_tiles.h"

#include <array>
#include <limits>

#include "tests/policy/kernels/kernel_test.h"

namespace aha::policy::cpu {
namespace {

// Tiles of a [16][32] bf16, b [16][16][2] bf16 (pairs of k), sums [16][16] fp32.
struct Product {
  std::array<Bf16, 512> a{}, b{};
  std::array<float, 256> sum{};

  void Run() {
    ModelTiles tiles;
    tiles.Load<0>(sum.data(), 64);
    tiles.Load<1>(a.data(), 64);
    tiles.Load<2>(b.data(), 64);
    tiles.Dot<0, 1, 2>();
    tiles.Store<0>(sum.data(), 64);
  }
  Bf16& A(std::size_t m, std::size_t k) { return a[m * 32 + k]; }
  Bf16& B(std::size_t k, std::size_t n) { return b[(k / 2 * 16 + n) * 2 + k % 2]; }
};

TEST(AmxModel, MultipliesMatrices) {
  Product p;
  const Matrix<Bf16> a = RandomMatrix<Bf16>(16, 32, 1), b = RandomMatrix<Bf16>(32, 16, 2);
  for (std::size_t m = 0; m < 16; ++m) {
    for (std::size_t k = 0; k < 32; ++k) {
      p.A(m, k) = a[m][k];
      p.B(k, m) = b[k][m];
    }
    p.sum[m * 16] = 3;
  }
  p.Run();
  for (std::size_t m = 0; m < 16; ++m) {
    for (std::size_t n = 0; n < 16; ++n) {
      double want = n == 0 ? 3 : 0;
      for (std::size_t k = 0; k < 32; ++k)
        want += a.at(m, k) * b.at(k, n);
      EXPECT_NEAR(p.sum[m * 16 + n], want, 1e-5);
    }
  }
}

// Even and odd k run in chains of their own, which meet before the old sum joins: big, 1, -big
// survives only so.
TEST(AmxModel, AddsEvenAndOddApartAndTheOldSumLast) {
  Product p;
  for (std::size_t k = 0; k < 32; ++k)
    p.B(k, 0) = ToBf16(1);
  p.A(0, 0) = ToBf16(0x1p60F);
  p.A(0, 1) = ToBf16(1);
  p.A(0, 2) = ToBf16(-0x1p60F);
  p.sum[0] = 0.5F;
  p.Run();
  EXPECT_EQ(p.sum[0], 1.5F);
  Product q = {};
  q.B(0, 0) = q.B(2, 0) = q.B(4, 0) = ToBf16(1);
  q.A(0, 0) = ToBf16(0x1p60F);
  q.A(0, 2) = ToBf16(1);
  q.A(0, 4) = ToBf16(-0x1p60F);
  q.Run();
  EXPECT_EQ(q.sum[0], 0);
}

TEST(AmxModel, DenormalsCountForZero) {
  Product p;
  p.B(0, 0) = p.B(0, 1) = ToBf16(1);
  p.A(0, 0) = Bf16{0x0001};  // a denormal input
  p.sum[1] = 1e-40F;         // a denormal sum
  p.A(1, 0) = ToBf16(0x1p-100F);
  p.B(0, 2) = ToBf16(0x1p-40F);  // a product that is denormal
  p.Run();
  EXPECT_EQ(p.sum[0], 0);
  EXPECT_EQ(p.sum[1], 0);
  EXPECT_EQ(p.sum[16 + 2], 0);
}

}  // namespace
}  // namespace aha::policy::cpu
