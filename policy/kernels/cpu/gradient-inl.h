// Gradients of one target: of weights, tokens in order; and of attention.
namespace aha::policy::cpu::AHA_NS {
// Each uses the one before.
// clang-format off
#include "policy/kernels/cpu/simd-inl.h"
#include "policy/kernels/cpu/tile-inl.h"
#include "policy/kernels/cpu/turn-inl.h"
#include "policy/kernels/cpu/attention_gradient-inl.h"
// clang-format on

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

const GradientKernels& GradientTable() {
  static constexpr GradientKernels kTable = {
      WeightGradient < Bf16, AHA_DP ? Way::kPairs : Way::kFp32 >, WeightGradient<float, Way::kFp32>,
      AttentionBackward<Bf16>, AttentionBackward<float>};
  return kTable;
}

}  // namespace aha::policy::cpu::AHA_NS
