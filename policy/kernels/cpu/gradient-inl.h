// Gradients of one target: of weights, tokens in order; and of attention, block by block from the
// saved log-sum-exp.
namespace aha::policy::cpu::AHA_NS {
#include "policy/kernels/cpu/simd-inl.h"
#include "policy/kernels/cpu/tile-inl.h"
#include "policy/kernels/cpu/turn-inl.h"

// y (+)= x w. Fp32: x [rows][steps], w [steps][columns]; pairs: both bf16, x [rows][steps][2], w
// [steps][columns][2]. Columns are whole vectors.
struct PlainCall {
  const void* x;
  std::size_t x_stride;  // numbers of fp32, pairs of bf16
  const void* w;
  std::size_t w_stride, steps;
  float* y;
  std::size_t y_stride;
  bool add;
};

template <Way way, int MR, int NV>
void PlainTile(const PlainCall& c) {
  Tile<MR, NV> tile;
#pragma GCC unroll 12
  for (int m = 0; m < MR; ++m) {
#pragma GCC unroll 8
    for (int v = 0; v < NV; ++v)
      tile.sum[m][v] = c.add ? Load(c.y + m * c.y_stride + v * kL) : Zeros();
  }
  const std::byte* from[NV];
  for (int v = 0; v < NV; ++v)
    from[v] = static_cast<const std::byte*>(c.w) + v * (kL * 4);
  Accumulate<way, MR, NV>({static_cast<const std::byte*>(c.x), c.x_stride * 4}, from, c.steps,
                          c.w_stride * 4, tile);
#pragma GCC unroll 12
  for (int m = 0; m < MR; ++m) {
#pragma GCC unroll 8
    for (int v = 0; v < NV; ++v) {
      // + 0: half a pair adds a zero, which must not be told by a sum of negative zero.
      const V sum = way == Way::kPairs ? hn::Add(tile.sum[m][v], Zeros()) : tile.sum[m][v];
      Store(sum, c.y + m * c.y_stride + v * kL);
    }
  }
}

template <Way way, int NV, std::size_t... I>
constexpr auto PlainTiles(std::index_sequence<I...>) {
  return std::array<void (*)(const PlainCall&), sizeof...(I)>{
      PlainTile<way, static_cast<int>(I) + 1, NV>...};
}

template <Way way>
void PlainProduct(const PlainCall& call, std::size_t rows, std::size_t columns) {
  static constexpr auto kSingle = PlainTiles<way, 1>(std::make_index_sequence<kMostRows>());
  static constexpr auto kDouble = PlainTiles<way, 2>(std::make_index_sequence<kMostRows>());
  const std::size_t tiles = (rows + kMostRows - 1) / kMostRows;
  for (std::size_t c = 0; c < columns;) {
    const bool two = c + 2 * kL <= columns;
    for (std::size_t t = 0; t < tiles; ++t) {
      const std::size_t first = rows * t / tiles;
      PlainCall part = call;
      part.x = static_cast<const std::byte*>(call.x) + first * call.x_stride * 4;
      part.w = static_cast<const std::byte*>(call.w) + c * 4;
      part.y += first * call.y_stride + c;
      (two ? kDouble : kSingle)[rows * (t + 1) / tiles - first - 1](part);
    }
    c += two ? 2 * kL : kL;
  }
}

// ---- Weights ----

constexpr std::size_t kTokenBlock = 128;
constexpr std::size_t kColumns = 32;  // of dW at a time

// Tokens as steps of a product. vdpbf16ps is two fused multiply-adds, each rounded, the upper half
// of a pair first: so the earlier token of a pair goes to the upper half, and the sum is one chain
// in order of tokens, as with fp32.
template <class T, Way way>
class Tokens {
  static constexpr bool kPairs = way == Way::kPairs;
  using X = std::conditional_t<kPairs, Bf16, float>;

 public:
  static constexpr std::size_t kStride =
      kTokenBlock / (kPairs ? 2 : 1);  // of a turned row, in steps
  static std::size_t Steps(std::size_t tokens) { return kPairs ? (tokens + 1) / 2 : tokens; }

  // [rows][tokens]: columns [begin, begin + rows) of dy's rows [start, start + tokens).
  static void Turn(const Rows<const T>& dy,
                   std::size_t start,
                   std::size_t tokens,
                   std::size_t begin,
                   std::size_t rows,
                   void* out) {
    auto* to = static_cast<X*>(out);
    for (std::size_t r0 = 0; r0 < rows; r0 += 16) {
      const std::size_t some = std::min<std::size_t>(16, rows - r0);
      for (std::size_t t = 0; t < tokens; ++t) {
        const T* from = dy[start + t] + begin + r0;
        X* place = to + r0 * kTokenBlock + (kPairs ? t ^ 1 : t);
        for (std::size_t r = 0; r < some; ++r) {
          if constexpr (kPairs) {
            place[r * kTokenBlock] = from[r];
          } else {
            place[r * kTokenBlock] = ToFloat(from[r]);
          }
        }
      }
      if (kPairs && tokens % 2 != 0) {
        for (std::size_t r = 0; r < some; ++r)
          to[(r0 + r) * kTokenBlock + tokens - 1] = X{};
      }
    }
  }

  // [steps][32]: columns [k, k + columns) of x, zeros after them.
  static void Slab(const Rows<const T>& x,
                   std::size_t start,
                   std::size_t tokens,
                   std::size_t k,
                   std::size_t columns,
                   float* out) {
    for (std::size_t t = 0; t < tokens; t += kPairs ? 2 : 1) {
      for (std::size_t i = 0; i < kColumns; i += kL) {
        const std::size_t left = columns > i ? columns - i : 0;
        V word = LoadN(x[start + t] + k + i, left);
        if constexpr (kPairs) {
          if (t + 1 < tokens) {
            const auto second = hn::BitCast(DU(), LoadN(x[start + t + 1] + k + i, left));
            word = hn::BitCast(D(), hn::Or(hn::BitCast(DU(), word), hn::ShiftRight<16>(second)));
          }
        }
        Store(word, out + t / (kPairs ? 2 : 1) * kColumns + i);
      }
    }
  }
};

template <class T, Way way>
void WeightGradient(const WeightGradientCall<T>& c) {
  using Staged = Tokens<T, way>;
  const std::size_t rows = c.end - c.begin;
  const std::size_t tokens = c.dy.count;
  auto* turned = static_cast<float*>(
      ThreadScratch(ScratchSlot::kRows, rows * Staged::kStride * sizeof(float)));
  auto* slab = static_cast<float*>(
      ThreadScratch(ScratchSlot::kTile, (kTokenBlock + kMostRows) * kColumns * sizeof(float)));
  float* edge = slab + kTokenBlock * kColumns;
  for (std::size_t start = 0; start < tokens; start += kTokenBlock) {
    const std::size_t here = std::min(kTokenBlock, tokens - start);
    Staged::Turn(c.dy, start, here, c.begin, rows, turned);
    for (std::size_t k = 0; k < c.dw.width; k += kColumns) {
      const std::size_t columns = std::min(kColumns, c.dw.width - k);
      Staged::Slab(c.x, start, here, k, columns, slab);
      PlainCall call{turned,
                     Staged::kStride,
                     slab,
                     kColumns,
                     Staged::Steps(here),
                     c.dw[c.begin] + k,
                     c.dw.stride,
                     true};
      if (columns == kColumns) {
        PlainProduct<way>(call, rows, kColumns);
        continue;
      }
      // The last columns go through a tile of their own, so that nothing is read or written beyond
      // the row.
      for (std::size_t r = 0; r < rows; r += kMostRows) {
        const std::size_t some = std::min(kMostRows, rows - r);
        for (std::size_t m = 0; m < some; ++m)
          std::copy_n(c.dw[c.begin + r + m] + k, columns, edge + m * kColumns);
        PlainCall last = call;
        last.x = turned + r * Staged::kStride;
        last.y = edge;
        last.y_stride = kColumns;
        PlainProduct<way>(last, some, (columns + kL - 1) / kL * kL);
        for (std::size_t m = 0; m < some; ++m)
          std::copy_n(edge + m * kColumns, columns, c.dw[c.begin + r + m] + k);
      }
    }
  }
}

// ---- Attention ----

constexpr std::size_t kQueryRows = 48;
constexpr std::size_t kKeyBlock = 64;

// Scratch of one head: everything widened to fp32, widths padded to whole vectors with zeros.
template <class T>
class AttentionGradient {
 public:
  explicit AttentionGradient(const AttentionGradientCall<T>& call) : c_(call) {
    wide_key_ = (c_.key_width + 15) / 16 * 16;
    wide_value_ = (c_.value_width + 15) / 16 * 16;
    rows_ = c_.length * c_.group;
    // dq of all rows stays until the last block of keys has added to it.
    const std::size_t fixed = rows_ * (wide_key_ + 1) + kKeyBlock * 3 * (wide_key_ + wide_value_) +
                              kQueryRows * (wide_key_ + wide_value_) + kQueryRows * kKeyBlock * 4;
    float* at = static_cast<float*>(ThreadScratch(ScratchSlot::kState, fixed * sizeof(float)));
    const auto take = [&](std::size_t n) { return std::exchange(at, at + n); };
    dq_ = take(rows_ * wide_key_);
    k_ = take(kKeyBlock * wide_key_);
    k_turned_ = take(kKeyBlock * wide_key_);
    v_turned_ = take(kKeyBlock * wide_value_);
    dk_ = take(kKeyBlock * wide_key_);
    dv_ = take(kKeyBlock * wide_value_);
    q_ = take(kQueryRows * wide_key_);
    dy_ = take(kQueryRows * wide_value_);
    scores_ = take(kQueryRows * kKeyBlock);
    slopes_ = take(kQueryRows * kKeyBlock);
    scores_turned_ = take(kQueryRows * kKeyBlock);
    slopes_turned_ = take(kQueryRows * kKeyBlock);
    inner_ = take(rows_);
  }

  void operator()() {
    std::fill_n(dq_, rows_ * wide_key_, 0.0F);
    for (std::size_t r = 0; r < rows_; ++r)
      inner_[r] = Inner(r);
    for (std::size_t start = 0; start < c_.length; start += kKeyBlock)
      Keys(start, std::min(kKeyBlock, c_.length - start));
    for (std::size_t r = 0; r < rows_; ++r) {
      T* dq = c_.dq + r / c_.group * c_.q_stride + r % c_.group * c_.key_width;
      for (std::size_t i = 0; i < c_.key_width; ++i)
        dq[i] = FromFloat<T>(dq_[r * wide_key_ + i]);
    }
  }

 private:
  [[nodiscard]] const T* Y(const T* tensor, std::size_t r) const {
    return tensor + r / c_.group * c_.y_stride + r % c_.group * c_.value_width;
  }
  [[nodiscard]] const T* Value(std::size_t t) const {
    return c_.latent ? c_.k + t * c_.k_stride : c_.v + t * c_.v_stride;
  }

  // y . dy of a row: what the softmax takes off each slope.
  [[nodiscard]] float Inner(std::size_t r) const {
    V sum = Zeros();
    for (std::size_t i = 0; i < c_.value_width; i += kL) {
      const std::size_t left = c_.value_width - i;
      sum = hn::Add(sum, hn::Mul(LoadN(Y(c_.y, r) + i, left), LoadN(Y(c_.dy, r) + i, left)));
    }
    return Sum(sum);
  }

  static void Widen(const T* from, std::size_t n, std::size_t wide, float* to) {
    for (std::size_t i = 0; i < wide; i += kL)
      Store(LoadN(from + i, n > i ? n - i : 0), to + i);
  }

  void Keys(std::size_t start, std::size_t count) {
    std::fill_n(k_, kKeyBlock * wide_key_, 0.0F);
    std::fill_n(k_turned_, kKeyBlock * wide_key_, 0.0F);
    std::fill_n(v_turned_, kKeyBlock * wide_value_, 0.0F);
    std::fill_n(dk_, kKeyBlock * wide_key_, 0.0F);
    std::fill_n(dv_, kKeyBlock * wide_value_, 0.0F);
    for (std::size_t j = 0; j < count; ++j) {
      const T* key = c_.k + (start + j) * c_.k_stride;
      const T* value = Value(start + j);
      Widen(key, c_.key_width, wide_key_, k_ + j * wide_key_);
      for (std::size_t i = 0; i < c_.key_width; ++i)
        k_turned_[i * kKeyBlock + j] = ToFloat(key[i]);
      for (std::size_t i = 0; i < c_.value_width; ++i)
        v_turned_[i * kKeyBlock + j] = ToFloat(value[i]);
    }
    for (std::size_t r = start * c_.group; r < rows_; r += kQueryRows)
      Queries(start, r, std::min(kQueryRows, rows_ - r));
    for (std::size_t j = 0; j < count; ++j)
      Finish(start + j, dk_ + j * wide_key_, dv_ + j * wide_value_);
  }

  void Queries(std::size_t start, std::size_t first, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
      const std::size_t r = first + i;
      Widen(c_.q + r / c_.group * c_.q_stride + r % c_.group * c_.key_width, c_.key_width,
            wide_key_, q_ + i * wide_key_);
      Widen(Y(c_.dy, r), c_.value_width, wide_value_, dy_ + i * wide_value_);
    }
    PlainProduct<Way::kFp32>(
        {q_, wide_key_, k_turned_, kKeyBlock, c_.key_width, scores_, kKeyBlock, false}, count,
        kKeyBlock);
    PlainProduct<Way::kFp32>(
        {dy_, wide_value_, v_turned_, kKeyBlock, c_.value_width, slopes_, kKeyBlock, false}, count,
        kKeyBlock);
    for (std::size_t i = 0; i < count; ++i)
      Slopes(start, first + i, scores_ + i * kKeyBlock, slopes_ + i * kKeyBlock);
    // Rows beyond `count` hold what was there before; no product reads them.
    for (std::size_t i = 0; i < count; i += 16) {
      TurnFloats(scores_ + i * kKeyBlock, scores_turned_ + i);
      TurnFloats(slopes_ + i * kKeyBlock, slopes_turned_ + i);
    }
    PlainProduct<Way::kFp32>(
        {slopes_, kKeyBlock, k_, wide_key_, kKeyBlock, dq_ + first * wide_key_, wide_key_, true},
        count, wide_key_);
    PlainProduct<Way::kFp32>(
        {slopes_turned_, kQueryRows, q_, wide_key_, count, dk_, wide_key_, true}, kKeyBlock,
        wide_key_);
    PlainProduct<Way::kFp32>(
        {scores_turned_, kQueryRows, dy_, wide_value_, count, dv_, wide_value_, true}, kKeyBlock,
        wide_value_);
  }

  static void TurnFloats(const float* from, float* to) {
    Turn16(reinterpret_cast<const std::uint32_t*>(from), kKeyBlock, kKeyBlock,
           reinterpret_cast<std::uint32_t*>(to), kQueryRows);
  }

  // scores -> weights of the softmax; slopes (dy . v) -> gradient of the scores, times scale.
  void Slopes(std::size_t start, std::size_t r, float* scores, float* slopes) const {
    const std::size_t position = r / c_.group;
    const float lse = c_.lse[position * c_.lse_stride + r % c_.group];
    const std::size_t seen = position < start ? 0 : std::min(kKeyBlock, position + 1 - start);
    for (std::size_t j = 0; j < seen; j += kL) {
      V weight = ExpLow(hn::Sub(hn::Mul(Load(scores + j), Set(c_.scale)), Set(lse)));
      V slope = hn::Mul(hn::Mul(weight, hn::Sub(Load(slopes + j), Set(inner_[r]))), Set(c_.scale));
      if (seen - j < kL) {
        const auto there = hn::FirstN(D(), seen - j);
        weight = hn::IfThenElseZero(there, weight);
        slope = hn::IfThenElseZero(there, slope);
      }
      Store(weight, scores + j);
      Store(slope, slopes + j);
    }
    const std::size_t whole = (seen + kL - 1) / kL * kL;
    std::fill(scores + whole, scores + kKeyBlock, 0.0F);
    std::fill(slopes + whole, slopes + kKeyBlock, 0.0F);
  }

  void Finish(std::size_t t, const float* dk, const float* dv) const {
    T* to = c_.dk + t * c_.k_stride;
    for (std::size_t i = 0; i < c_.key_width; ++i)
      to[i] = FromFloat<T>(c_.latent && i < c_.value_width ? dk[i] + dv[i] : dk[i]);
    if (c_.latent) return;
    for (std::size_t i = 0; i < c_.value_width; ++i)
      c_.dv[t * c_.v_stride + i] = FromFloat<T>(dv[i]);
  }

  const AttentionGradientCall<T>& c_;
  std::size_t wide_key_ = 0, wide_value_ = 0, rows_ = 0;
  float *dq_, *k_, *k_turned_, *v_turned_, *dk_, *dv_, *q_, *dy_, *scores_, *slopes_,
      *scores_turned_, *slopes_turned_, *inner_;
};

template <class T>
void AttentionBackward(const AttentionGradientCall<T>& call) {
  AttentionGradient<T> gradient(call);
  gradient();
}

const GradientKernels& GradientTable() {
  static constexpr GradientKernels kTable = {
      WeightGradient < Bf16, AHA_DP ? Way::kPairs : Way::kFp32 >, WeightGradient<float, Way::kFp32>,
      AttentionBackward<Bf16>, AttentionBackward<float>};
  return kTable;
}

}  // namespace aha::policy::cpu::AHA_NS
