#include <algorithm>
#include <numeric>

#include "policy/kernels/cpu/adamw.h"
#include "policy/kernels/cpu/attention.h"
#include "policy/kernels/cpu/attention_backward.h"
#include "policy/kernels/cpu/gemm.h"
#include "policy/kernels/cpu/weight_gradient.h"
#include "tests/policy/kernels/kernel_test.h"

namespace aha::policy::cpu {
namespace {

class GradientTest : public KernelTest {};

template <class T>
void ExpectWeightGradient(const Cpu& one,
                          const Cpu& three,
                          std::size_t t,
                          std::size_t n,
                          std::size_t k) {
  const Matrix<T> dy = RandomMatrix<T>(t, n, 1);
  const Matrix<T> x = RandomMatrix<T>(t, k, 2);
  const Matrix<float> start = RandomMatrix<float>(n, k, 3);
  Matrix<float> whole = start, cut = start;
  WeightGradient(three, dy.rows(), x.rows(), whole.rows());
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j < k; ++j) {
      double want = start.at(i, j);
      for (std::size_t r = 0; r < t; ++r)
        want += dy.at(r, i) * x.at(r, j);
      ASSERT_NEAR(whole.at(i, j), want, 2e-4);
      // Tokens one by one, in order, each a fused multiply-add where the target has one.
      const bool fused = one.target() != KernelTarget::kPortable;
      float chain = start.numbers[i * k + j];
      for (std::size_t r = 0; r < t; ++r) {
        const float a = ToFloat(dy.numbers[r * n + i]), b = ToFloat(x.numbers[r * k + j]);
        chain = fused ? std::fma(a, b, chain) : chain + a * b;
      }
      ASSERT_EQ(whole.numbers[i * k + j], chain) << t << " tokens, row " << i << ", column " << j;
    }
  }
  // Any cut of the tokens gives the same bits.
  for (std::size_t first = 0, size = 1; first < t; first += size, size = size * 2 + 1) {
    const std::size_t some = std::min(size, t - first);
    WeightGradient(one, dy.rows(first, some), x.rows(first, some), cut.rows());
  }
  EXPECT_TRUE(SameBits(whole, cut)) << t << " tokens, N " << n << ", K " << k;
}

TEST_P(GradientTest, WeightGradientMatchesFloat64AndIgnoresCuts) {
  for (const auto& [t, n, k] : {std::array{1UL, 1UL, 1UL},
                                {7UL, 13UL, 33UL},
                                {150UL, 40UL, 64UL},
                                {300UL, 25UL, 17UL},
                                {513UL, 9UL, 70UL}}) {
    ExpectWeightGradient<Bf16>(one, three, t, n, k);
    ExpectWeightGradient<float>(one, three, t, n, k);
  }
}

TEST_P(GradientTest, InputGradientIsTheProductWithTheTranspose) {
  const Matrix<Bf16> w = RandomMatrix<Bf16>(50, 36, 4);
  const Matrix<Bf16> dy = RandomMatrix<Bf16>(9, 50, 5);
  PackedMatrix packed(50, 36, NumberKind::kBf16), transposed(36, 50, NumberKind::kBf16);
  packed.Pack(0, w.rows());
  transposed.PackTransposed(packed);
  Matrix<float> dx(9, 36);
  Gemm(three, dy.rows(), transposed, dx.rows());
  for (std::size_t t = 0; t < 9; ++t) {
    for (std::size_t k = 0; k < 36; ++k) {
      double want = 0;
      for (std::size_t n = 0; n < 50; ++n)
        want += dy.at(t, n) * w.at(n, k);
      ASSERT_NEAR(dx.at(t, k), want, 1e-4);
    }
  }
}

struct Shape {
  const char* name;
  bool latent;
  std::size_t heads, kv_heads, key_width, value_width;
};
constexpr Shape kShapes[] = {{"grouped", false, 6, 2, 24, 16},
                             {"latent", true, 3, 1, 20, 12},
                             {"odd widths", false, 2, 2, 7, 5}};

// Whole sequences in a ragged batch, with the gradient by float64 beside.
struct Ragged {
  Shape s;
  std::vector<std::int64_t> start;
  Matrix<float> q, k, v, y, dy;
  std::vector<float> lse;
  float scale = 0.3F;

  Ragged(const Shape& shape, const std::vector<std::int64_t>& lengths, const Cpu& cpu)
      : s(shape), start(1, 0) {
    for (const std::int64_t l : lengths)
      start.push_back(start.back() + l);
    const auto t = static_cast<std::size_t>(start.back());
    q = RandomMatrix<float>(t, s.heads * s.key_width, 6);
    k = RandomMatrix<float>(t, s.kv_heads * s.key_width, 7);
    v = RandomMatrix<float>(t, s.kv_heads * s.value_width, 8);
    dy = RandomMatrix<float>(t, s.heads * s.value_width, 9);
    y = Matrix<float>(t, s.heads * s.value_width);
    lse.resize(t * s.heads);
    Forward(cpu);
  }

  void Forward(const Cpu& cpu) {
    const KvShape shape{NumberKind::kFp32, s.latent, 16, s.kv_heads, s.key_width, s.value_width};
    std::vector<std::vector<std::int32_t>> tables;
    std::vector<AttentionSequence> sequences;
    std::int32_t next = 0;
    for (std::size_t i = 0; i + 1 < start.size(); ++i) {
      const std::int64_t length = start[i + 1] - start[i];
      tables.emplace_back();
      for (std::int64_t p = 0; p < length; p += 16)
        tables.back().push_back(next++);
    }
    std::vector<std::byte> pool(static_cast<std::size_t>(next) * shape.page_bytes());
    for (std::size_t i = 0; i + 1 < start.size(); ++i) {
      const auto first = static_cast<std::size_t>(start[i]);
      const auto length = static_cast<std::size_t>(start[i + 1]) - first;
      for (std::size_t t = 0; t < length; ++t) {
        std::byte* page =
            pool.data() + static_cast<std::size_t>(tables[i][t / 16]) * shape.page_bytes();
        for (std::size_t g = 0; g < s.kv_heads; ++g)
          PutKv(shape, page, t % 16, g, k[first + t] + g * s.key_width,
                v[first + t] + g * s.value_width);
      }
      sequences.push_back({tables[i], 0, first, length});
    }
    const AttentionCall call{shape, pool.data(), shape.page_bytes(), sequences, s.heads, scale};
    Attention(cpu, call, std::as_const(q).rows(), y.rows(), lse.data());
  }

  // Sum of dy * attention of one sequence, in float64.
  [[nodiscard]] double Loss(std::size_t i) const {
    double loss = 0;
    for (auto t = static_cast<std::size_t>(start[i]); t < static_cast<std::size_t>(start[i + 1]);
         ++t) {
      for (std::size_t a = 0; a < s.heads; ++a) {
        const std::size_t g = a / (s.heads / s.kv_heads);
        std::vector<double> weight;
        double total = 0;
        for (auto j = static_cast<std::size_t>(start[i]); j <= t; ++j) {
          double score = 0;
          for (std::size_t w = 0; w < s.key_width; ++w)
            score += q.at(t, a * s.key_width + w) * k.at(j, g * s.key_width + w);
          weight.push_back(std::exp(double{scale} * score));
          total += weight.back();
        }
        for (std::size_t j = 0; j < weight.size(); ++j) {
          const std::size_t row = static_cast<std::size_t>(start[i]) + j;
          for (std::size_t d = 0; d < s.value_width; ++d) {
            loss += dy.at(t, a * s.value_width + d) * weight[j] / total *
                    (s.latent ? k.at(row, d) : v.at(row, g * s.value_width + d));
          }
        }
      }
    }
    return loss;
  }

  struct Gradients {
    Matrix<float> q, k, v;
  };
  // `args`: what there is to say of contexts.
  [[nodiscard]] Gradients Backward(const Cpu& cpu, AttentionGradientArgs<float> args = {}) const {
    Gradients d{Matrix<float>(q.count, q.width), Matrix<float>(k.count, k.width),
                Matrix<float>(v.count, v.width)};
    args.start_S1 = start;
    args.heads = s.heads;
    args.kv_heads = s.kv_heads;
    args.key_width = s.key_width;
    args.value_width = s.value_width;
    args.latent = s.latent;
    args.scale = scale;
    args.q = q.rows();
    args.k = k.rows();
    args.v = v.rows();
    args.y = y.rows();
    args.dy = dy.rows();
    args.lse_TA = lse.data();
    args.dq = d.q.rows();
    args.dk = d.k.rows();
    args.dv = d.v.rows();
    AttentionBackward<float>(cpu, args);
    return d;
  }
};

TEST_P(GradientTest, AttentionBackwardMatchesDifferences) {
  for (const Shape& shape : kShapes) {
    Ragged r(shape, {21, 5}, one);
    const Ragged::Gradients d = r.Backward(three);
    const auto expect = [&](Matrix<float>& x, const Matrix<float>& dx, const char* what) {
      for (std::size_t n = 0; n < x.numbers.size(); n += 37) {
        const std::size_t sequence = static_cast<std::int64_t>(n / x.width) < r.start[1] ? 0 : 1;
        const float before = x.numbers[n];
        x.numbers[n] = before + 0x1p-9F;
        const double above = r.Loss(sequence);
        x.numbers[n] = before - 0x1p-9F;
        const double below = r.Loss(sequence);
        x.numbers[n] = before;
        ASSERT_NEAR(dx.numbers[n], (above - below) / 0x1p-8, 2e-4)
            << shape.name << ": " << what << " number " << n;
      }
    };
    expect(r.q, d.q, "dq");
    expect(r.k, d.k, "dk");
    if (!shape.latent) expect(r.v, d.v, "dv");
  }
}

TEST_P(GradientTest, AttentionBackwardOfASequenceIgnoresTheOthers) {
  for (const Shape& shape : kShapes) {
    const Ragged both(shape, {131, 70}, one);
    const Ragged::Gradients d = both.Backward(three);
    Ragged first(shape, {131, 70}, one);
    first.start.pop_back();
    const Ragged::Gradients alone = first.Backward(one);
    EXPECT_TRUE(SameBits(d.q.numbers.data(), alone.q.numbers.data(), 131 * d.q.width))
        << shape.name;
    EXPECT_TRUE(SameBits(d.k.numbers.data(), alone.k.numbers.data(), 131 * d.k.width))
        << shape.name;
    EXPECT_TRUE(SameBits(d.v.numbers.data(), alone.v.numbers.data(), 131 * d.v.width))
        << shape.name;
  }
}

// Samples that go on from one context, each with it before them; then with it once, after them.
struct SharedCase {
  static constexpr std::size_t kContext = 70;
  static constexpr std::size_t kOwn[] = {90, 3, 50};
  static constexpr std::size_t kSamples = std::size(kOwn);

  Ragged whole;
  Ragged::Gradients want;
  Matrix<float> dk, dv;  // of the context, summed over the samples

  SharedCase(const Shape& shape, const Cpu& cpu)
      : whole(shape, {kContext + kOwn[0], kContext + kOwn[1], kContext + kOwn[2]}, cpu),
        want(WantOf(cpu)),
        dk(kContext, want.k.width),
        dv(kContext, want.v.width) {
    for (std::size_t s = 0; s < kSamples; ++s) {
      for (std::size_t i = 0; i < dk.numbers.size(); ++i)
        dk.numbers[i] += want.k.numbers[First(s) * dk.width + i];
      for (std::size_t i = 0; i < dv.numbers.size(); ++i)
        dv.numbers[i] += want.v.numbers[First(s) * dv.width + i];
    }
  }

  [[nodiscard]] std::size_t First(std::size_t s) const {
    return static_cast<std::size_t>(whole.start[s]);
  }

  // All samples have the first one's context, and its rows have gradients there alone.
  Ragged::Gradients WantOf(const Cpu& cpu) {
    for (std::size_t s = 1; s < kSamples; ++s) {
      for (Matrix<float>* m : {&whole.q, &whole.k, &whole.v})
        std::copy_n(m->numbers.data(), kContext * m->width, &m->numbers[First(s) * m->width]);
      std::fill_n(&whole.dy.numbers[First(s) * whole.dy.width], kContext * whole.dy.width, 0.0F);
    }
    whole.Forward(cpu);
    return whole.Backward(cpu);
  }

  // Rows of samples [from, to), then of the context.
  [[nodiscard]] std::vector<std::size_t> RowsOf(std::size_t from, std::size_t to) const {
    std::vector<std::size_t> rows;
    for (std::size_t s = from; s < to; ++s) {
      for (std::size_t i = 0; i < kOwn[s]; ++i)
        rows.push_back(First(s) + kContext + i);
    }
    for (std::size_t i = 0; i < kContext; ++i)
      rows.push_back(i);
    return rows;
  }

  // Gradients of some samples, and of the context if they are the last.
  Ragged::Gradients Part(const Cpu& cpu,
                         std::size_t from,
                         std::size_t to,
                         Matrix<float>& dk_sum,
                         Matrix<float>& dv_sum) const {
    const std::vector<std::size_t> rows = RowsOf(from, to);
    const auto pick = [&](const Matrix<float>& all) {
      Matrix<float> some(rows.size(), all.width);
      for (std::size_t r = 0; r < rows.size(); ++r)
        std::copy_n(&all.numbers[rows[r] * all.width], all.width, &some.numbers[r * all.width]);
      return some;
    };
    Ragged part = whole;
    for (Matrix<float>* m : {&part.q, &part.k, &part.v, &part.y, &part.dy})
      *m = pick(*m);
    part.lse.clear();
    for (const std::size_t r : rows)
      part.lse.insert(part.lse.end(), &whole.lse[r * whole.s.heads],
                      &whole.lse[(r + 1) * whole.s.heads]);
    part.start = {0};
    for (std::size_t s = from; s < to; ++s)
      part.start.push_back(part.start.back() + static_cast<std::int64_t>(kOwn[s]));
    part.start.push_back(part.start.back() + static_cast<std::int64_t>(kContext));
    const SharedContext shared = {0, to - from, 0};
    AttentionGradientArgs<float> args;
    args.contexts = std::span(&shared, 1);
    args.dk_sum = dk_sum.rows();
    args.dv_sum = dv_sum.rows();
    args.open = to < kSamples;
    return part.Backward(cpu, args);
  }
};

TEST_P(GradientTest, AttentionBackwardOfASharedContextIsTheSumOfItsSamples) {
  for (const Shape& shape : kShapes) {
    if (shape.latent) continue;
    const SharedCase c(shape, one);
    Matrix<float> dk_sum(SharedCase::kContext, c.dk.width),
        dv_sum(SharedCase::kContext, c.dv.width);
    const Ragged::Gradients got = c.Part(three, 0, SharedCase::kSamples, dk_sum, dv_sum);
    const std::vector<std::size_t> rows = c.RowsOf(0, SharedCase::kSamples);
    const std::size_t context = rows.size() - SharedCase::kContext;
    for (std::size_t r = 0; r < rows.size(); ++r) {
      for (std::size_t i = 0; i < got.q.width; ++i)
        ASSERT_NEAR(got.q.at(r, i), c.want.q.at(rows[r], i), 1e-4) << shape.name;
      const bool sum = r >= context;
      for (std::size_t i = 0; i < got.k.width; ++i)
        ASSERT_NEAR(got.k.at(r, i), sum ? c.dk.at(r - context, i) : c.want.k.at(rows[r], i), 1e-4);
      for (std::size_t i = 0; i < got.v.width; ++i)
        ASSERT_NEAR(got.v.at(r, i), sum ? c.dv.at(r - context, i) : c.want.v.at(rows[r], i), 1e-4);
    }
  }
}

TEST_P(GradientTest, AttentionBackwardOfASharedContextIgnoresCuts) {
  for (const Shape& shape : kShapes) {
    if (shape.latent) continue;
    const SharedCase c(shape, one);
    const auto zeros = [&](std::size_t width) {
      return Matrix<float>(SharedCase::kContext, width);
    };
    Matrix<float> dk_all = zeros(c.dk.width), dv_all = zeros(c.dv.width), dk_sum = dk_all,
                  dv_sum = dv_all;
    const Ragged::Gradients all = c.Part(three, 0, 3, dk_all, dv_all);
    c.Part(one, 0, 1, dk_sum, dv_sum);
    const Ragged::Gradients last = c.Part(three, 1, 3, dk_sum, dv_sum);
    // The last samples' rows, and the context's.
    const std::size_t skipped = SharedCase::kOwn[0];
    EXPECT_TRUE(SameBits(&all.q.numbers[skipped * all.q.width], last.q.numbers.data(),
                         last.q.numbers.size()));
    EXPECT_TRUE(SameBits(&all.k.numbers[skipped * all.k.width], last.k.numbers.data(),
                         last.k.numbers.size()));
    EXPECT_TRUE(SameBits(&all.v.numbers[skipped * all.v.width], last.v.numbers.data(),
                         last.v.numbers.size()));
  }
}

TEST_P(GradientTest, AdamWFollowsTheFormulaAndWritesPackedWeights) {
  Matrix<float> master = RandomMatrix<float>(70, 45, 10), first(70, 45), second(70, 45);
  const Matrix<float> before = master;
  Matrix<Bf16> first_half(70, 45), second_half(70, 45);
  Matrix<float> master_half = master;
  PackedMatrix packed(70, 45, NumberKind::kBf16), transposed(45, 70, NumberKind::kBf16);
  std::vector<double> w(before.numbers.begin(), before.numbers.end()), m(w.size(), 0),
      v(w.size(), 0);
  for (int step = 1; step <= 3; ++step) {
    const Matrix<float> g = RandomMatrix<float>(70, 45, static_cast<unsigned>(10 + step));
    AdamWStep s;
    s.rate = 0.01F;
    s.beta1 = 0.9F;
    s.beta2 = 0.95F;
    s.decay = 0.1F;
    s.gradient_scale = 0.5F;
    s.correct1 = static_cast<float>(1 / (1 - std::pow(0.9, step)));
    s.correct2 = static_cast<float>(1 / (1 - std::pow(0.95, step)));
    AdamWUpdate<float>(step == 1 ? one : three, s, master.rows(), g.rows(), first.rows(),
                       second.rows(),
                       [&](std::size_t at, Rows<const float>, Rows<const Bf16> rounded) {
                         packed.Pack(at, rounded);
                         transposed.PackColumns(at, rounded);
                       });
    AdamWUpdate<Bf16>(three, s, master_half.rows(), g.rows(), first_half.rows(),
                      second_half.rows());
    for (std::size_t i = 0; i < w.size(); ++i) {
      const double grad = g.numbers[i] * 0.5;
      m[i] = 0.9 * m[i] + 0.1 * grad;
      v[i] = 0.95 * v[i] + 0.05 * grad * grad;
      w[i] = w[i] * (1 - 0.001) - 0.01 * m[i] / (1 - std::pow(0.9, step)) /
                                      (std::sqrt(v[i] / (1 - std::pow(0.95, step))) + 1e-8);
    }
  }
  Matrix<Bf16> weights(70, 45), turned(45, 70);
  packed.Unpack(0, weights.rows());
  transposed.Unpack(0, turned.rows());
  for (std::size_t i = 0; i < w.size(); ++i) {
    ASSERT_NEAR(master.numbers[i], w[i], 1e-6);
    ASSERT_NEAR(master_half.numbers[i], w[i], 5e-4);
    ASSERT_EQ(weights.numbers[i].bits, ToBf16(master.numbers[i]).bits);
    ASSERT_EQ(turned[i % 45][i / 45].bits, weights.numbers[i].bits);
  }
}

TEST_P(GradientTest, SquareSumIsOneTreeForAnyThreads) {
  const Matrix<float> x = RandomMatrix<float>(1, 100003, 20);
  double want = 0;
  for (const float v : x.numbers)
    want += double{v} * double{v};
  EXPECT_NEAR(SquareSum(one, x.numbers), want, 1e-6);
  EXPECT_EQ(SquareSum(one, x.numbers), SquareSum(three, x.numbers));
  EXPECT_EQ(SquareSum(one, {}), 0);
}

AHA_EVERY_TARGET(GradientTest);

}  // namespace
}  // namespace aha::policy::cpu
