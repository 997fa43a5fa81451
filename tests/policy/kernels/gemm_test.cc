#include "policy/kernels/cpu/gemm.h"

#include "tests/policy/kernels/kernel_test.h"

// Shapes: x [T, K], W [N, K], y [T, N].
namespace aha::policy::cpu {
namespace {

class GemmTest : public KernelTest {};

template <class T>
PackedMatrix Packed(const Matrix<T>& w) {
  PackedMatrix packed(w.count, w.width,
                      std::is_same_v<T, Bf16> ? NumberKind::kBf16 : NumberKind::kFp32);
  packed.Pack(0, w.rows());
  return packed;
}

struct Shape {
  std::size_t t, k, n;
};
constexpr Shape kShapes[] = {{1, 1, 1},  {1, 64, 96},  {2, 33, 31},  {3, 128, 257},
                             {5, 7, 40}, {13, 96, 64}, {25, 66, 33}, {49, 160, 70}};

template <class In, class Out>
void ExpectProduct(const Cpu& cpu, const Shape& s) {
  const Matrix<In> x = RandomMatrix<In>(s.t, s.k, 1);
  const Matrix<In> w = RandomMatrix<In>(s.n, s.k, 2);
  const Matrix<float> bias = RandomMatrix<float>(1, s.n, 3);
  Matrix<Out> y(s.t, s.n);
  Gemm(cpu, x.rows(), Packed(w), y.rows(), bias[0]);
  for (std::size_t t = 0; t < s.t; ++t) {
    for (std::size_t n = 0; n < s.n; ++n) {
      double want = bias.at(0, n), size = std::fabs(want);
      for (std::size_t k = 0; k < s.k; ++k) {
        want += x.at(t, k) * w.at(n, k);
        size += std::fabs(x.at(t, k) * w.at(n, k));
      }
      ASSERT_NEAR(y.at(t, n), want, Tolerance<Out>(want, size * 2e-6))
          << "row " << t << " column " << n << " K " << s.k << " N " << s.n;
    }
  }
}

TEST_P(GemmTest, MatchesFloat64) {
  for (const Shape& s : kShapes) {
    ExpectProduct<Bf16, Bf16>(one, s);
    ExpectProduct<Bf16, float>(three, s);
    ExpectProduct<float, float>(three, s);
  }
}

// Every cut of the rows into calls gives the bits of rows taken one by one.
template <class In, class Out, class F>
void ExpectRowsAlone(const Cpu& cpu,
                     const Cpu& threads,
                     const Matrix<In>& x,
                     std::size_t n,
                     const F& product) {
  Matrix<Out> alone(x.count, n);
  for (std::size_t t = 0; t < x.count; ++t)
    product(cpu, x.rows(t, 1), alone.rows(t, 1));
  for (const std::size_t chunk : {2UL, 7UL, 16UL, 64UL, 100UL}) {
    Matrix<Out> y(x.count, n);
    for (std::size_t t = 0; t < x.count; t += chunk) {
      const std::size_t rows = std::min(chunk, x.count - t);
      product(chunk % 2 == 0 ? cpu : threads, x.rows(t, rows), y.rows(t, rows));
    }
    ASSERT_TRUE(SameBits(y, alone)) << "chunks of " << chunk << ", N " << n << ", K " << x.width;
  }
}

TEST_P(GemmTest, RowDoesNotDependOnItsBatch) {
  const bool model = GetParam() == KernelTarget::kAmxModel;  // slow
  const std::size_t rows = model ? 20 : 100;
  for (const Shape& s : {Shape{rows, 64, 96}, Shape{rows - 3, 33, 75}, Shape{rows, 130, 333}}) {
    const Matrix<Bf16> x = RandomMatrix<Bf16>(s.t, s.k, 4);
    const PackedMatrix w = Packed(RandomMatrix<Bf16>(s.n, s.k, 5));
    const auto product = [&](const Cpu& cpu, auto some, auto out) { Gemm(cpu, some, w, out); };
    ExpectRowsAlone<Bf16, Bf16>(one, three, x, s.n, product);
    ExpectRowsAlone<Bf16, float>(one, three, x, s.n, product);
    const Matrix<float> x32 = RandomMatrix<float>(s.t, s.k, 4);
    const PackedMatrix w32 = Packed(RandomMatrix<float>(s.n, s.k, 5));
    ExpectRowsAlone<float, float>(one, three, x32, s.n, [&](const Cpu& cpu, auto some, auto out) {
      Gemm(cpu, some, w32, out);
    });
  }
}

TEST_P(GemmTest, ManyRowsAreBlockedWithTheSameBits) {
  const Matrix<Bf16> x = RandomMatrix<Bf16>(700, 256, 6);
  const PackedMatrix w = Packed(RandomMatrix<Bf16>(40, 256, 7));
  Matrix<float> all(700, 40);
  Gemm(three, x.rows(), w, all.rows());
  for (const std::size_t t : {0UL, 255UL, 511UL, 512UL, 699UL}) {
    Matrix<float> single(1, 40);
    Gemm(one, x.rows(t, 1), w, single.rows());
    EXPECT_TRUE(SameBits(single[0], all[t], 40)) << "row " << t;
  }
}

// Long rows go slab by slab when there are many, and in one go when there is one.
TEST_P(GemmTest, LongRowsHaveTheSameBits) {
  const Matrix<Bf16> x = RandomMatrix<Bf16>(14, 5003, 17);
  const PackedMatrix w = Packed(RandomMatrix<Bf16>(33, 5003, 18));
  const Matrix<float> bias = RandomMatrix<float>(1, 33, 19);
  Matrix<float> all(14, 33), alone(14, 33);
  Gemm(one, x.rows(), w, all.rows(), bias[0]);
  for (std::size_t t = 0; t < 14; ++t)
    Gemm(one, x.rows(t, 1), w, alone.rows(t, 1), bias[0]);
  EXPECT_TRUE(SameBits(all, alone));
  const Matrix<float> x32 = RandomMatrix<float>(14, 5003, 17);
  const PackedMatrix w32 = Packed(RandomMatrix<float>(33, 5003, 18));
  Gemm(one, x32.rows(), w32, all.rows());
  for (std::size_t t = 0; t < 14; ++t)
    Gemm(one, x32.rows(t, 1), w32, alone.rows(t, 1));
  EXPECT_TRUE(SameBits(all, alone));
}

TEST_P(GemmTest, AddStartsFromWhatIsThere) {
  const Matrix<float> x = RandomMatrix<float>(9, 50, 8);
  const Matrix<float> w = RandomMatrix<float>(45, 50, 9);
  Matrix<float> y = RandomMatrix<float>(9, 45, 10);
  const Matrix<float> before = y;
  GemmAdd(one, x.rows(), Packed(w), y.rows());
  for (std::size_t t = 0; t < 9; ++t) {
    for (std::size_t n = 0; n < 45; ++n) {
      double want = before.at(t, n);
      for (std::size_t k = 0; k < 50; ++k)
        want += x.at(t, k) * w.at(n, k);
      ASSERT_NEAR(y.at(t, n), want, 1e-4);
    }
  }
}

TEST_P(GemmTest, StridedRowsAreReadAndWrittenInPlace) {
  const Matrix<Bf16> x = RandomMatrix<Bf16>(6, 100, 11);
  const PackedMatrix w = Packed(RandomMatrix<Bf16>(20, 64, 12));
  Matrix<Bf16> inside(6, 50), copy(6, 64), apart(6, 20);
  for (std::size_t t = 0; t < 6; ++t)
    std::copy_n(x[t] + 10, 64, copy[t]);
  Gemm(one, Rows<const Bf16>(x.numbers.data() + 10, 6, 64, 100), w,
       Rows<Bf16>(inside.numbers.data() + 3, 6, 20, 50));
  Gemm(one, copy.rows(), w, apart.rows());
  for (std::size_t t = 0; t < 6; ++t) {
    EXPECT_TRUE(SameBits(inside[t] + 3, apart[t], 20));
    EXPECT_EQ(inside[t][2].bits, 0);
    EXPECT_EQ(inside[t][23].bits, 0);
  }
}

TEST_P(GemmTest, HeadsAreProductsOfTheirOwn) {
  constexpr std::size_t kHeads = 5, kK = 12, kN = 35;
  const Matrix<Bf16> x = RandomMatrix<Bf16>(20, kHeads * 16, 20);
  std::vector<PackedMatrix> packed;
  std::vector<const PackedMatrix*> w;
  packed.reserve(kHeads);
  for (unsigned a = 0; a < kHeads; ++a)
    w.push_back(&packed.emplace_back(Packed(RandomMatrix<Bf16>(kN, kK, 21 + a))));
  for (const std::size_t heads : {1UL, 5UL}) {
    Matrix<Bf16> y(20, kHeads * 40);
    GemmHeads(three, x.rows(), 16, std::span(w).first(heads), y.rows(), 40);
    for (std::size_t a = 0; a < heads; ++a) {
      Matrix<Bf16> want(20, kN);
      Gemm(one, Rows<const Bf16>(x[0] + a * 16, 20, kK, x.width), *w[a], want.rows());
      for (std::size_t t = 0; t < 20; ++t) {
        EXPECT_TRUE(SameBits(y[t] + a * 40, want[t], kN));
        EXPECT_EQ(y[t][a * 40 + kN].bits, 0);
      }
    }
  }
}

template <class T>
void ExpectSwiGlu(const Cpu& cpu, const Cpu& threads, const Shape& s) {
  const Matrix<T> x = RandomMatrix<T>(s.t, s.k, 13);
  const Matrix<T> gate = RandomMatrix<T>(s.n, s.k, 14, 0.2F);
  const Matrix<T> up = RandomMatrix<T>(s.n, s.k, 15, 0.2F);
  PackedGateUp w(s.n, s.k, std::is_same_v<T, Bf16> ? NumberKind::kBf16 : NumberKind::kFp32);
  w.Pack(PackedGateUp::Half::kGate, 0, gate.rows());
  w.Pack(PackedGateUp::Half::kUp, 0, up.rows());
  Matrix<T> y(s.t, s.n);
  GateUpSwiGlu(cpu, x.rows(), w, y.rows());
  for (std::size_t t = 0; t < s.t; ++t) {
    for (std::size_t n = 0; n < s.n; ++n) {
      double g = 0, u = 0;
      for (std::size_t k = 0; k < s.k; ++k) {
        g += x.at(t, k) * gate.at(n, k);
        u += x.at(t, k) * up.at(n, k);
      }
      const double want = g / (1 + std::exp(-g)) * u;
      ASSERT_NEAR(y.at(t, n), want,
                  3 * Tolerance<T>(want, 2e-5) +
                      (std::is_same_v<T, Bf16> ? 0.01 * std::fabs(u) + 0.002 : 0));
    }
  }
  ExpectRowsAlone<T, T>(cpu, threads, x, s.n,
                        [&](const Cpu& c, auto rows, auto out) { GateUpSwiGlu(c, rows, w, out); });
}

TEST_P(GemmTest, GateUpSwiGluMatchesFloat64AndIgnoresTheBatch) {
  for (const Shape& s : {Shape{1, 64, 32}, Shape{14, 33, 70}, Shape{40, 128, 96}}) {
    ExpectSwiGlu<Bf16>(one, three, s);
    ExpectSwiGlu<float>(one, three, s);
  }
}

TEST(PackedMatrix, UnpacksWhatWasPackedAndTransposes) {
  const Matrix<Bf16> w = RandomMatrix<Bf16>(70, 45, 16);
  const PackedMatrix packed = Packed(w);
  Matrix<Bf16> back(70, 45), turned(45, 70);
  packed.Unpack(0, back.rows());
  EXPECT_TRUE(SameBits(back, w));
  PackedMatrix transposed(45, 70, NumberKind::kBf16);
  transposed.PackTransposed(packed);
  transposed.Unpack(0, turned.rows());
  for (std::size_t n = 0; n < 70; ++n) {
    for (std::size_t k = 0; k < 45; ++k)
      ASSERT_EQ(turned[k][n].bits, w[n][k].bits);
  }
}

TEST(PackedMatrix, RoundsMastersToNearestEven) {
  const float masters[] = {1.0F, 1.00390625F, 1.01171875F, -3.0e38F, 1e-40F, 65504.0F};
  const std::uint16_t want[] = {0x3F80, 0x3F80, 0x3F82, 0xFF62, 0x0001, 0x4780};
  PackedMatrix packed(1, 6, NumberKind::kBf16);
  packed.Pack(0, Rows<const float>(masters, 1, 6));
  Bf16 got[6];
  packed.Unpack(0, Rows<Bf16>(got, 1, 6));
  for (std::size_t i = 0; i < 6; ++i)
    EXPECT_EQ(got[i].bits, want[i]) << masters[i];
}

AHA_EVERY_TARGET(GemmTest);

}  // namespace
}  // namespace aha::policy::cpu
