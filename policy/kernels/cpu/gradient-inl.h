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

constexpr std::size_t kSteps = 128;   // of tokens, or of pairs of them, at a time
constexpr std::size_t kColumns = 32;  // of dW at a time

// Tokens as steps of a product. vdpbf16ps is two fused multiply-adds, each rounded, the upper half
// of a pair first: so the earlier token of a pair goes to the upper half, and the sum is one chain
// in order of tokens, as with fp32.
template <class T, Way way>
class Tokens {
  static constexpr bool kPairs = way == Way::kPairs;
  static constexpr std::size_t kEach = kPairs ? 2 : 1;  // tokens of a step

  // Numbers [at, at + kL) of a step's tokens: a word each.
  static V Word(const Rows<const T>& from, std::size_t t, bool whole, std::size_t at) {
    const std::size_t left = from.width > at ? from.width - at : 0;
    const V first = LoadN(from[t] + at, left);
    if constexpr (!kPairs) return first;
    if (!whole) return first;
    const auto second = hn::BitCast(DU(), LoadN(from[t + 1] + at, left));
    return hn::BitCast(D(), hn::Or(hn::BitCast(DU(), first), hn::ShiftRight<16>(second)));
  }

 public:
  // A panel of dy: [steps][kMostRows], and room for what the last step's vectors write beyond.
  static constexpr std::size_t kPanel = (kSteps + (kL + kMostRows - 1) / kMostRows) * kMostRows;
  static constexpr std::size_t kBlock = kSteps * kEach;  // tokens
  static std::size_t Steps(std::size_t tokens) { return (tokens + kEach - 1) / kEach; }

  // Columns from `begin` on of dy's rows [start, start + tokens), as panels.
  static void Panels(const Rows<const T>& dy,
                     std::size_t start,
                     std::size_t tokens,
                     std::size_t begin,
                     std::size_t panels,
                     float* out) {
    for (std::size_t t = 0; t < tokens; t += kEach) {
      float* to = out + t / kEach * kMostRows;
      for (std::size_t p = 0; p < panels; ++p) {
        for (std::size_t i = 0; i < kMostRows; i += kL) {
          Store(Word(dy, start + t, t + 1 < tokens, begin + p * kMostRows + i),
                to + p * kPanel + i);
        }
      }
    }
  }

  // [steps][32]: columns from k on of x, zeros after its last.
  static void Slab(const Rows<const T>& x,
                   std::size_t start,
                   std::size_t tokens,
                   std::size_t k,
                   float* out) {
    for (std::size_t t = 0; t < tokens; t += kEach) {
      for (std::size_t i = 0; i < kColumns; i += kL)
        Store(Word(x, start + t, t + 1 < tokens, k + i), out + t / kEach * kColumns + i);
    }
  }
};

// Rows of a panel times a slab, added to 32 columns of dW.
struct WeightTileCall {
  const float* panel;
  const float* slab;
  std::size_t steps;
  float* dw;
  std::size_t stride;
  const float* next;  // where the next tile's sums lie
};

template <Way way, int MR>
void WeightTile(const WeightTileCall& c) {
  constexpr int NV = 2;
  for (std::size_t column = 0; column < kColumns; column += NV * kL) {
    Tile<MR, NV> tile;
#pragma GCC unroll 12
    for (int m = 0; m < MR; ++m) {
      __builtin_prefetch(c.next + m * c.stride + column, 1);
      __builtin_prefetch(c.next + m * c.stride + column + NV * kL - 1, 1);
#pragma GCC unroll 2
      for (int v = 0; v < NV; ++v)
        tile.sum[m][v] = Load(c.dw + m * c.stride + column + v * kL);
    }
    const float* x = c.slab + column;
    const float* dy = c.panel;
    for (std::size_t s = 0; s < c.steps; ++s, x += kColumns, dy += kMostRows) {
      if constexpr (way == Way::kPairs) {
#if AHA_DP
        __m512i b[NV];
#pragma GCC unroll 2
        for (int v = 0; v < NV; ++v)
          b[v] = _mm512_loadu_si512(x + v * kL);
#pragma GCC unroll 12
        for (int m = 0; m < MR; ++m) {
          int pair;
          std::memcpy(&pair, dy + m, 4);
          const __m512i a = _mm512_set1_epi32(pair);
#pragma GCC unroll 2
          for (int v = 0; v < NV; ++v)
            tile.sum[m][v] = DotPairs(tile.sum[m][v], b[v], a);
        }
#endif
      } else {
        V b[NV];
#pragma GCC unroll 2
        for (int v = 0; v < NV; ++v)
          b[v] = Load(x + v * kL);
#pragma GCC unroll 12
        for (int m = 0; m < MR; ++m) {
          const V a = Set(dy[m]);
#pragma GCC unroll 2
          for (int v = 0; v < NV; ++v)
            tile.sum[m][v] = Fma(a, b[v], tile.sum[m][v]);
        }
      }
    }
#pragma GCC unroll 12
    for (int m = 0; m < MR; ++m) {
#pragma GCC unroll 2
      for (int v = 0; v < NV; ++v) {
        // + 0: half a pair adds a zero, which must not be told by a sum of negative zero.
        const V sum = way == Way::kPairs ? hn::Add(tile.sum[m][v], Zeros()) : tile.sum[m][v];
        Store(sum, c.dw + m * c.stride + column + v * kL);
      }
    }
  }
}

template <Way way, std::size_t... I>
constexpr auto WeightTiles(std::index_sequence<I...>) {
  return std::array<void (*)(const WeightTileCall&), sizeof...(I)>{
      WeightTile<way, static_cast<int>(I) + 1>...};
}

template <class T, Way way>
void WeightGradient(const WeightGradientCall<T>& c) {
  using Staged = Tokens<T, way>;
  static constexpr auto kTiles = WeightTiles<way>(std::make_index_sequence<kMostRows>());
  const std::size_t rows = c.end - c.begin;
  const std::size_t panels = (rows + kMostRows - 1) / kMostRows;
  const std::size_t tokens = c.dy.count;
  auto* staged = static_cast<float*>(
      ThreadScratch(ScratchSlot::kRows, panels * Staged::kPanel * sizeof(float)));
  auto* slab = static_cast<float*>(
      ThreadScratch(ScratchSlot::kTile, (kSteps + kMostRows) * kColumns * sizeof(float)));
  float* edge = slab + kSteps * kColumns;
  for (std::size_t start = 0; start < tokens; start += Staged::kBlock) {
    const std::size_t here = std::min(Staged::kBlock, tokens - start);
    Staged::Panels(c.dy, start, here, c.begin, panels, staged);
    for (std::size_t k = 0; k < c.dw.width; k += kColumns) {
      const std::size_t columns = std::min(kColumns, c.dw.width - k);
      Staged::Slab(c.x, start, here, k, slab);
      for (std::size_t p = 0; p < panels; ++p) {
        const std::size_t row = p * kMostRows;
        const std::size_t some = std::min(kMostRows, rows - row);
        float* dw = c.dw[c.begin + row] + k;
        WeightTileCall tile{staged + p * Staged::kPanel,
                            slab,
                            Staged::Steps(here),
                            dw,
                            c.dw.stride,
                            p + 1 < panels ? dw + kMostRows * c.dw.stride : dw};
        if (columns < kColumns) {
          // The last columns go through a tile of their own, so that nothing is read or written
          // beyond the row.
          for (std::size_t m = 0; m < some; ++m)
            std::copy_n(dw + m * c.dw.stride, columns, edge + m * kColumns);
          tile.dw = edge;
          tile.stride = kColumns;
          tile.next = edge;
        }
        kTiles[some - 1](tile);
        for (std::size_t m = 0; columns < kColumns && m < some; ++m)
          std::copy_n(edge + m * kColumns, columns, dw + m * c.dw.stride);
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
    for (std::size_t start = 0; start < c_.context; start += kKeyBlock)
      ContextKeys(start, std::min(kKeyBlock, c_.context - start));
    for (std::size_t start = 0; start < c_.length; start += kKeyBlock)
      OwnKeys(start, std::min(kKeyBlock, c_.length - start));
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

  // The context's keys from `start` on: all queries see them.
  void ContextKeys(std::size_t start, std::size_t count) {
    Stage(c_.k_context + start * c_.k_stride, c_.v_context + start * c_.v_stride, count);
    float* dk = c_.dk_context + start * c_.dk_sum_stride;
    float* dv = c_.dv_context + start * c_.dv_sum_stride;
    StartFrom(dk, dv, count);
    for (std::size_t r = 0; r < rows_; r += kQueryRows)
      Queries(r, std::min(kQueryRows, rows_ - r), [&](std::size_t) { return count; });
    for (std::size_t j = 0; j < count; ++j) {
      std::copy_n(dk_ + j * wide_key_, c_.key_width, dk + j * c_.dk_sum_stride);
      std::copy_n(dv_ + j * wide_value_, c_.value_width, dv + j * c_.dv_sum_stride);
    }
  }

  void OwnKeys(std::size_t start, std::size_t count) {
    const T* keys = c_.k + start * c_.k_stride;
    Stage(keys, c_.latent ? keys : c_.v + start * c_.v_stride, count);
    if (c_.dk_from != nullptr)
      StartFrom(c_.dk_from + start * c_.dk_sum_stride, c_.dv_from + start * c_.dv_sum_stride,
                count);
    for (std::size_t r = start * c_.group; r < rows_; r += kQueryRows) {
      Queries(r, std::min(kQueryRows, rows_ - r), [&](std::size_t row) {
        const std::size_t position = row / c_.group;
        return position < start ? 0 : std::min(kKeyBlock, position + 1 - start);
      });
    }
    for (std::size_t j = 0; j < count; ++j)
      Finish(start + j, dk_ + j * wide_key_, dv_ + j * wide_value_);
  }

  void StartFrom(const float* dk, const float* dv, std::size_t count) {
    for (std::size_t j = 0; j < count; ++j) {
      std::copy_n(dk + j * c_.dk_sum_stride, c_.key_width, dk_ + j * wide_key_);
      std::copy_n(dv + j * c_.dv_sum_stride, c_.value_width, dv_ + j * wide_value_);
    }
  }

  // A block of keys and values, as the products read them; their gradients start from zero.
  void Stage(const T* keys, const T* values, std::size_t count) {
    const std::size_t value_stride = c_.latent ? c_.k_stride : c_.v_stride;
    std::fill_n(k_, kKeyBlock * wide_key_, 0.0F);
    std::fill_n(k_turned_, kKeyBlock * wide_key_, 0.0F);
    std::fill_n(v_turned_, kKeyBlock * wide_value_, 0.0F);
    std::fill_n(dk_, kKeyBlock * wide_key_, 0.0F);
    std::fill_n(dv_, kKeyBlock * wide_value_, 0.0F);
    for (std::size_t j = 0; j < count; ++j) {
      const T* key = keys + j * c_.k_stride;
      const T* value = values + j * value_stride;
      Widen(key, c_.key_width, wide_key_, k_ + j * wide_key_);
      for (std::size_t i = 0; i < c_.key_width; ++i)
        k_turned_[i * kKeyBlock + j] = ToFloat(key[i]);
      for (std::size_t i = 0; i < c_.value_width; ++i)
        v_turned_[i * kKeyBlock + j] = ToFloat(value[i]);
    }
  }

  // Rows from `first` on, of which row r sees `seen(r)` of the block's keys.
  template <class Seen>
  void Queries(std::size_t first, std::size_t count, const Seen& seen) {
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
      Slopes(first + i, seen(first + i), scores_ + i * kKeyBlock, slopes_ + i * kKeyBlock);
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
  void Slopes(std::size_t r, std::size_t seen, float* scores, float* slopes) const {
    const float lse = c_.lse[r / c_.group * c_.lse_stride + r % c_.group];
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
