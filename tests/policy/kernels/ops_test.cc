#include "policy/kernels/cpu/ops.h"

#include "policy/kernels/cpu/ops_kernels.h"
#include "tests/policy/kernels/kernel_test.h"

namespace aha::policy::cpu {
namespace {

class OpsTest : public KernelTest {};

constexpr float kEps = 1e-6F;

std::vector<double> Norm(const std::vector<double>& x, const float* weight) {
  double squares = 0;
  for (const double v : x)
    squares += v * v;
  const double scale = 1 / std::sqrt(squares / static_cast<double>(x.size()) + kEps);
  std::vector<double> y(x.size());
  for (std::size_t i = 0; i < x.size(); ++i)
    y[i] = x[i] * scale * weight[i];
  return y;
}

template <class T>
std::vector<double> Wide(const T* x, std::size_t n) {
  std::vector<double> wide(n);
  for (std::size_t i = 0; i < n; ++i)
    wide[i] = double{ToFloat(x[i])};
  return wide;
}

template <class T>
void ExpectNorm(const Cpu& cpu, std::size_t width) {
  const Matrix<T> x = RandomMatrix<T>(5, width, 1);
  const Matrix<T> residual = RandomMatrix<T>(5, width, 2);
  const Matrix<float> weight = RandomMatrix<float>(1, width, 3);
  Matrix<T> y(5, width), sum = residual, z(5, width);
  RmsNorm(cpu, x.rows(), weight[0], kEps, y.rows());
  AddRmsNorm(cpu, x.rows(), sum.rows(), weight[0], kEps, z.rows());
  for (std::size_t t = 0; t < 5; ++t) {
    const std::vector<double> want = Norm(Wide(x[t], width), weight[0]);
    const std::vector<double> want_sum = Norm(Wide(sum[t], width), weight[0]);
    for (std::size_t i = 0; i < width; ++i) {
      ASSERT_NEAR(y.at(t, i), want[i], 2 * Tolerance<T>(want[i], 2e-6));
      ASSERT_EQ(ToFloat(sum[t][i]),
                ToFloat(FromFloat<T>(ToFloat(x[t][i]) + ToFloat(residual[t][i]))));
      ASSERT_NEAR(z.at(t, i), want_sum[i], 2 * Tolerance<T>(want_sum[i], 2e-6));
    }
  }
}

TEST_P(OpsTest, NormMatchesFloat64) {
  for (const std::size_t width : {1UL, 8UL, 33UL, 64UL, 130UL, 576UL}) {
    ExpectNorm<Bf16>(one, width);
    ExpectNorm<float>(three, width);
  }
}

// Hugging Face rounds to bf16 before the weight multiplies.
TEST_P(OpsTest, NormRoundsBeforeTheWeight) {
  const Matrix<Bf16> x = RandomMatrix<Bf16>(1, 64, 4);
  const Matrix<float> weight = RandomMatrix<float>(1, 64, 5);
  std::vector<float> ones(64, 1.0F);
  Matrix<Bf16> plain(1, 64), y(1, 64);
  RmsNorm(one, x.rows(), ones.data(), kEps, plain.rows());
  RmsNorm(one, x.rows(), weight[0], kEps, y.rows());
  for (std::size_t i = 0; i < 64; ++i)
    EXPECT_EQ(y[0][i].bits, ToBf16(ToFloat(plain[0][i]) * weight[0][i]).bits);
}

TEST_P(OpsTest, HeadNormTakesEachHeadByItself) {
  const Matrix<Bf16> x = RandomMatrix<Bf16>(4, 100, 6);
  const Matrix<float> weight = RandomMatrix<float>(1, 20, 7);
  Matrix<Bf16> normed = x;
  HeadRmsNorm(three, Heads<Bf16>{normed.rows(), 3, 20, 30}, weight[0], kEps);
  for (std::size_t t = 0; t < 4; ++t) {
    for (std::size_t a = 0; a < 3; ++a) {
      Matrix<Bf16> want(1, 20);
      RmsNorm(one, Rows<const Bf16>(x[t] + a * 30, 1, 20), weight[0], kEps, want.rows());
      EXPECT_TRUE(SameBits(normed[t] + a * 30, want[0], 20));
      EXPECT_TRUE(SameBits(normed[t] + a * 30 + 20, x[t] + a * 30 + 20, 10)) << "between heads";
    }
  }
}

// Central differences of sum(dy * f(x)) in float64.
template <class F>
double Slope(std::vector<double> x, std::size_t i, const std::vector<double>& dy, const F& f) {
  constexpr double kStep = 1e-5;
  double slope = 0;
  for (const double sign : {1.0, -1.0}) {
    std::vector<double> moved = x;
    moved[i] += sign * kStep;
    const std::vector<double> y = f(moved);
    for (std::size_t j = 0; j < y.size(); ++j)
      slope += sign * dy[j] * y[j];
  }
  return slope / (2 * kStep);
}

TEST_P(OpsTest, NormBackwardMatchesDifferences) {
  const Matrix<float> x = RandomMatrix<float>(3, 37, 8);
  const Matrix<float> dy = RandomMatrix<float>(3, 37, 9);
  const Matrix<float> weight = RandomMatrix<float>(1, 37, 10);
  Matrix<float> dx(3, 37), dweight(1, 37);
  RmsNormBackward(three, x.rows(), dy.rows(), weight[0], kEps, dx.rows(), dweight[0]);
  for (std::size_t i = 0; i < 37; ++i) {
    double want = 0;
    for (std::size_t t = 0; t < 3; ++t) {
      const auto f = [&](const std::vector<double>& v) { return Norm(v, weight[0]); };
      EXPECT_NEAR(dx.at(t, i), Slope(Wide(x[t], 37), i, Wide(dy[t], 37), f), 1e-5);
      want += dy.at(t, i) * Norm(Wide(x[t], 37), std::vector<float>(37, 1.0F).data())[i];
    }
    EXPECT_NEAR(dweight.at(0, i), want, 1e-5);
  }
}

TEST_P(OpsTest, NormWeightGradientIgnoresHowTokensAreCut) {
  const Matrix<Bf16> x = RandomMatrix<Bf16>(21, 100, 11);
  const Matrix<Bf16> dy = RandomMatrix<Bf16>(21, 100, 12);
  const Matrix<float> weight = RandomMatrix<float>(1, 100, 13);
  Matrix<float> whole(1, 100), cut(1, 100);
  Matrix<Bf16> dx(21, 100), dx_cut(21, 100);
  RmsNormBackward(three, x.rows(), dy.rows(), weight[0], kEps, dx.rows(), whole[0]);
  for (const auto& [first, count] : {std::pair{0UL, 5UL}, {5UL, 1UL}, {6UL, 15UL}}) {
    RmsNormBackward(one, x.rows(first, count), dy.rows(first, count), weight[0], kEps,
                    dx_cut.rows(first, count), cut[0]);
  }
  EXPECT_TRUE(SameBits(whole, cut));
  EXPECT_TRUE(SameBits(dx, dx_cut));
}

// Worked values: q = [1,2,3,4] at position 3, angles 1 and 0.01 a position, pairs side by side.
TEST_P(OpsTest, RotatesPairsOfEitherLayout) {
  Matrix<float> cos(4, 2), sin(4, 2);
  for (std::size_t p = 0; p < 4; ++p) {
    for (std::size_t j = 0; j < 2; ++j) {
      const double angle = static_cast<double>(p) * (j == 0 ? 1 : 0.01);
      cos[p][j] = static_cast<float>(std::cos(angle));
      sin[p][j] = static_cast<float>(std::sin(angle));
    }
  }
  const float want[] = {-1.2722325F, -1.838865F, 2.8786681F, 4.0881866F};
  const std::int32_t position[] = {3};
  Matrix<float> side(1, 4), halves(1, 4);
  side.numbers = {1, 2, 3, 4};
  halves.numbers = {1, 3, 2, 4};
  Rotate(one, Heads<float>{side.rows(), 1, 4, 4}, position, cos.rows(), sin.rows(),
         Pairing::kInterleaved);
  Rotate(one, Heads<float>{halves.rows(), 1, 4, 4}, position, cos.rows(), sin.rows(),
         Pairing::kHalves);
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_NEAR(side[0][i], want[i], 1e-6);
    EXPECT_NEAR(halves[0][i / 2 + i % 2 * 2], want[i], 1e-6);
  }
  Rotate(one, Heads<float>{side.rows(), 1, 4, 4}, position, cos.rows(), sin.rows(),
         Pairing::kInterleaved, /*back=*/true);
  for (std::size_t i = 0; i < 4; ++i)
    EXPECT_NEAR(side[0][i], static_cast<float>(i + 1), 1e-6);
}

// The activation's sigmoid takes a shorter way than the one that others use: the same bits for
// every bf16 gate. Not-a-number stays one.
TEST_P(OpsTest, SwiGluOfEveryGateIsTheSigmoidsProduct) {
  constexpr std::size_t kGates = std::size_t{1} << 16;
  constexpr std::size_t kPanel = PackedMatrix::kPanel;
  Matrix<float> both(kGates / kPanel, 2 * kPanel), y(kGates / kPanel, kPanel);
  std::vector<float> gate(kGates), sigmoid(kGates);
  for (std::size_t i = 0; i < kGates; ++i) {
    Bf16 g;
    const auto bits = static_cast<std::uint16_t>(i);
    std::memcpy(&g, &bits, sizeof g);
    gate[i] = ToFloat(g);
    both[i / kPanel][i % kPanel] = gate[i];
    both[i / kPanel][kPanel + i % kPanel] = 1;
  }
  OpsKernelsFor(GetParam()).sigmoid(gate.data(), kGates, sigmoid.data());
  SwiGlu(one, std::as_const(both).rows(), y.rows());
  for (std::size_t i = 0; i < kGates; ++i) {
    const float want = gate[i] * sigmoid[i], got = y[i / kPanel][i % kPanel];
    if (std::isnan(want)) {
      EXPECT_TRUE(std::isnan(got));
    } else {
      EXPECT_TRUE(SameBits(&got, &want, 1)) << gate[i] << ": " << got << ", " << want;
    }
  }
}

TEST_P(OpsTest, SwiGluAndItsGradientMatchFloat64) {
  constexpr std::size_t kWide = 70, kPadded = 192;
  const Matrix<float> both = RandomMatrix<float>(2, kPadded, 14, 2);
  const Matrix<float> dy = RandomMatrix<float>(2, kWide, 15);
  Matrix<float> y(2, kWide), dboth(2, kPadded);
  SwiGlu(one, both.rows(), y.rows());
  SwiGluBackward(three, both.rows(), dy.rows(), dboth.rows());
  for (std::size_t t = 0; t < 2; ++t) {
    for (std::size_t i = 0; i < 96; ++i) {
      const std::size_t gate = PackedGateUp::RowOf(PackedGateUp::Half::kGate, i);
      const std::size_t up = PackedGateUp::RowOf(PackedGateUp::Half::kUp, i);
      if (i >= kWide) {
        EXPECT_EQ(dboth[t][gate], 0);
        EXPECT_EQ(dboth[t][up], 0);
        continue;
      }
      const double g = both.at(t, gate), u = both.at(t, up), d = dy.at(t, i),
                   s = 1 / (1 + std::exp(-g));
      EXPECT_NEAR(y.at(t, i), g * s * u, 1e-5);
      EXPECT_NEAR(dboth.at(t, gate), d * u * s * (1 + g * (1 - s)), 1e-5);
      EXPECT_NEAR(dboth.at(t, up), d * g * s, 1e-5);
    }
  }
}

TEST_P(OpsTest, EmbedReadsPackedRowsAndGathersGradients) {
  const Matrix<Bf16> table = RandomMatrix<Bf16>(50, 45, 16);
  PackedMatrix packed(50, 45, NumberKind::kBf16);
  packed.Pack(0, table.rows());
  const std::int32_t ids[] = {49, 0, 31, 32, 49};
  Matrix<Bf16> y(5, 45);
  Embed(three, std::span(ids), packed, y.rows());
  for (std::size_t t = 0; t < 5; ++t)
    EXPECT_TRUE(SameBits(y[t], table[static_cast<std::size_t>(ids[t])], 45));
  Matrix<float> dtable(50, 45);
  EmbedBackward(three, std::span(ids), Rows<const Bf16>(y.rows()), dtable.rows());
  for (std::size_t i = 0; i < 45; ++i) {
    EXPECT_EQ(dtable[49][i], 2 * ToFloat(table[49][i]));
    EXPECT_EQ(dtable[31][i], ToFloat(table[31][i]));
    EXPECT_EQ(dtable[5][i], 0);
  }
}

AHA_EVERY_TARGET(OpsTest);

}  // namespace
}  // namespace aha::policy::cpu
