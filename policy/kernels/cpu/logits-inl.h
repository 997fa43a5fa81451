// Softmax over a vocabulary, one row at a time, in one order.
namespace aha::policy::cpu::AHA_NS {
#include "policy/kernels/cpu/simd-inl.h"

constexpr std::size_t kBlock = 1024;  // numbers summed in fp32 before a float64 takes the sum

LogitStats Stats(float* x, std::size_t n, float temperature, bool round_bf16, float* sums) {
  LogitStats stats;
  const float low = -std::numeric_limits<float>::infinity();
  V most = Set(low);
  const bool as_they_are = !round_bf16 && temperature == 1;
  for (std::size_t i = 0; as_they_are && i < n; i += kL) {
    const V v = LoadN(x + i, n - i);
    most = hn::Max(most, n - i >= kL ? v : hn::IfThenElse(hn::FirstN(D(), n - i), v, Set(low)));
  }
  for (std::size_t i = 0; !as_they_are && i < n; i += kL) {
    const std::size_t left = n - i;
    V v = LoadN(x + i, left);
    if (round_bf16) v = Rounded<Bf16>(v);
    if (temperature != 1) v = hn::Div(v, Set(temperature));
    StoreN(v, x + i, left);
    most = hn::Max(most, left >= kL ? v : hn::IfThenElse(hn::FirstN(D(), left), v, Set(low)));
  }
  stats.most = Largest(most);
  double sum = 0, mixed = 0;
  for (std::size_t start = 0; start < n; start += kBlock) {
    const std::size_t end = std::min(n, start + kBlock);
    V part = Zeros(), weighted = Zeros(), piece = Zeros();
    for (std::size_t i = start; i < end; i += kL) {
      const std::size_t left = end - i;
      const V d = hn::Sub(LoadN(x + i, left), Set(stats.most));
      V e = ExpLow(d);
      if (left < kL) e = hn::IfThenElseZero(hn::FirstN(D(), left), e);
      part = hn::Add(part, e);
      piece = hn::Add(piece, e);
      if (sums != nullptr && ((i + kL) % kPickBlock == 0 || i + kL >= n)) {
        sums[i / kPickBlock] = Sum(piece);
        piece = Zeros();
      }
      // A logit of minus infinity has no weight: 0 * inf would be NaN.
      weighted = hn::Add(weighted, hn::IfThenElseZero(hn::Gt(e, Zeros()), hn::Mul(e, d)));
    }
    sum += double{Sum(part)};
    mixed += double{Sum(weighted)};
  }
  const double log_sum = std::log(sum);
  stats.log_sum = static_cast<float>(log_sum);
  stats.entropy = static_cast<float>(log_sum - mixed / sum);
  return stats;
}

std::int32_t Likeliest(const float* x, std::size_t n, const LogitStats& stats) {
  std::size_t at = 0;
  while (at + kL <= n && hn::AllFalse(D(), hn::Eq(Load(x + at), Set(stats.most))))
    at += kL;
  while (at + 1 < n && x[at] != stats.most)
    ++at;
  // Where no logit is the largest, one is not a number: any token will do, within the row.
  return static_cast<std::int32_t>(std::min(at, n - 1));
}

using D64 = hn::ScalableTag<double>;
using V64 = hn::Vec<D64>;
constexpr std::size_t kL64 = HWY_LANES(double);

// e^x in float64 for x <= 0, within a unit of the last place; 0 below -708.
HWY_INLINE V64 Exp64(V64 x) {
  const D64 d;
  const hn::RebindToSigned<D64> di;
  const V64 n = hn::Round(hn::Mul(hn::Max(x, hn::Set(d, -708.0)), hn::Set(d, 1.4426950408889634)));
  V64 r = hn::NegMulAdd(n, hn::Set(d, 6.93147180369123816490e-01), hn::Max(x, hn::Set(d, -708.0)));
  r = hn::NegMulAdd(n, hn::Set(d, 1.90821492927058770002e-10), r);
  // Taylor to r^13: the next term is below 2^-57 for |r| <= ln(2) / 2.
  constexpr double kOver[] = {1.0 / 6227020800, 1.0 / 479001600, 1.0 / 39916800, 1.0 / 3628800,
                              1.0 / 362880,     1.0 / 40320,     1.0 / 5040,     1.0 / 720,
                              1.0 / 120,        1.0 / 24,        1.0 / 6,        0.5};
  V64 p = hn::Set(d, kOver[0]);
#pragma GCC unroll 12
  for (int i = 1; i < 12; ++i)
    p = hn::MulAdd(p, r, hn::Set(d, kOver[i]));
  p = hn::Add(hn::Set(d, 1.0), hn::MulAdd(hn::Mul(r, r), p, r));
  // 2^n by the exponent's bits: n + 1023 + 1.5 * 2^52 holds them in its low bits.
  const auto bits = hn::BitCast(di, hn::Add(n, hn::Set(d, 6755399441055744.0 + 1023)));
  const V64 scale = hn::BitCast(d, hn::ShiftLeft<52>(bits));
  return hn::IfThenElseZero(hn::Ge(x, hn::Set(d, -708.0)), hn::Mul(p, scale));
}

// Probabilities of logits [start, start + n) in float64; zeros up to the next multiple of 8.
HWY_INLINE void Probabilities(const PickRow& row, std::size_t start, std::size_t n, double* p) {
  const D64 d;
  const hn::Rebind<float, D64> half;
  float logprob[kPickBlock];
  const V most = Set(row.stats.most);
  const V log_sum = Set(row.stats.log_sum);
  for (std::size_t i = 0; i < n; i += kL)
    StoreN(hn::Sub(hn::Sub(LoadN(row.x + start + i, n - i), most), log_sum), logprob + i, n - i);
  std::fill(logprob + n, logprob + (n + 7) / 8 * 8, -1000.0F);
  for (std::size_t i = 0; i < n; i += kL64)
    hn::StoreU(Exp64(hn::PromoteTo(d, hn::LoadU(half, logprob + i))), d, p + i);
}

// The first token of block b at which the running sum, `before` the block, exceeds the line; else
// its last possible one.
std::int32_t PickInBlock(const PickRow& row,
                         std::size_t b,
                         std::size_t n,
                         double before,
                         double line) {
  double p[kPickBlock];
  const std::size_t count = std::min(kPickBlock, n - b * kPickBlock);
  Probabilities(row, b * kPickBlock, count, p);
  double running = before;
  std::size_t chosen = 0;
  for (std::size_t i = 0; i < count; ++i) {
    if (p[i] == 0) continue;
    running += p[i];
    chosen = i;
    if (running > line) break;
  }
  return static_cast<std::int32_t>(b * kPickBlock + chosen);
}

bool HasProbability(const PickRow& row, std::size_t b, std::size_t n) {
  double p[kPickBlock];
  const std::size_t count = std::min(kPickBlock, n - b * kPickBlock);
  Probabilities(row, b * kPickBlock, count, p);
  return std::any_of(p, p + count, [](double x) { return x > 0; });
}

// Running sums of exp(x - most) in place of those of probabilities. The two, each over its total,
// differ by less than `reach`: by the error of exp in fp32, of the sums (a chain of
// kPickBlock / kL, then the lanes), and of the rounded log-probabilities, in numerator and
// denominator, and half of that for safety.
bool PickBySums(PickRow& row, std::size_t n) {
  const std::size_t blocks = (n + kPickBlock - 1) / kPickBlock;
  double total = 0;
  for (std::size_t b = 0; b < blocks; ++b)
    total += double{row.sums[b]};
  constexpr double kUnit = 0x1p-24;
  constexpr double kSteps = 4 + kPickBlock / kL + 5;
  const double reach = 3 * kUnit * (kSteps + 1 + double{row.stats.entropy}) * total;
  const double line = row.draw * total;
  double running = 0;
  std::size_t b = 0;
  while (b < blocks && !(running + double{row.sums[b]} > line))
    running += double{row.sums[b++]};
  if (b == blocks) return false;
  const std::size_t start = b * kPickBlock;
  const std::size_t size = std::min(kPickBlock, n - start);
  float e[kPickBlock];
  for (std::size_t i = 0; i < size; i += kL)
    StoreN(ExpLow(hn::Sub(LoadN(row.x + start + i, size - i), Set(row.stats.most))), e + i,
           size - i);
  for (std::size_t i = 0; i < size; ++i) {
    const double after = running + double{e[i]};
    if (after > line) {
      row.token = static_cast<std::int32_t>(start + i);
      return line - running > reach && after - line > reach;
    }
    running = after;
  }
  return false;
}

void Pick(PickRow* rows, std::size_t count, std::size_t n) {
  const std::size_t blocks = (n + kPickBlock - 1) / kPickBlock;
  auto* p = static_cast<double*>(
      ThreadScratch(ScratchSlot::kScores, kPickRows * kPickBlock * sizeof(double)));
  // Sums before each block, of each row.
  auto* before = static_cast<double*>(
      ThreadScratch(ScratchSlot::kState, kPickRows * (blocks + 1) * sizeof(double)));
  std::fill_n(p, kPickRows * kPickBlock, 0.0);
  double sum[kPickRows] = {};
  for (std::size_t b = 0; b < blocks; ++b) {
    const std::size_t size = std::min(kPickBlock, n - b * kPickBlock);
    for (std::size_t r = 0; r < count; ++r) {
      before[b * kPickRows + r] = sum[r];
      Probabilities(rows[r], b * kPickBlock, size, p + r * kPickBlock);
    }
    for (std::size_t i = 0; i < size; ++i) {
#pragma GCC unroll 8
      for (std::size_t r = 0; r < kPickRows; ++r)
        sum[r] += p[r * kPickBlock + i];
    }
  }
  for (std::size_t r = 0; r < count; ++r) {
    before[blocks * kPickRows + r] = sum[r];
    const double line = rows[r].draw * sum[r];
    std::size_t b = 0;
    while (b < blocks && !(before[(b + 1) * kPickRows + r] > line))
      ++b;
    // draw * total rounded up to the total: the last token that has a probability.
    if (b == blocks) {
      do
        --b;
      while (b > 0 && !HasProbability(rows[r], b, n));
    }
    rows[r].token = PickInBlock(rows[r], b, n, before[b * kPickRows + r], line);
  }
}

template <class T>
void Backward(const float* x,
              std::size_t n,
              const LogitStats& stats,
              std::size_t target,
              float dlogprob,
              float dentropy,
              float temperature,
              T* dx) {
  const auto slope = [&](V v) AHA_ATTR {
    const V logprob = hn::Sub(hn::Sub(v, Set(stats.most)), Set(stats.log_sum));
    const V p = Exp(logprob);
    V d = hn::Mul(Set(-dlogprob), p);
    if (dentropy != 0) {
      const V term = hn::Mul(Set(dentropy), hn::Mul(p, hn::Add(logprob, Set(stats.entropy))));
      d = hn::Sub(d, hn::IfThenElseZero(hn::Gt(p, Zeros()), term));
    }
    return d;
  };
  for (std::size_t i = 0; i < n; i += kL)
    StoreN(hn::Div(slope(LoadN(x + i, n - i)), Set(temperature)), dx + i, n - i);
  dx[target] = FromFloat<T>((hn::GetLane(slope(Set(x[target]))) + dlogprob) / temperature);
}

const LogitsKernels& LogitsTable() {
  static constexpr LogitsKernels kTable = {Stats, Likeliest,      PickBySums,
                                           Pick,  Backward<Bf16>, Backward<float>};
  return kTable;
}

}  // namespace aha::policy::cpu::AHA_NS
