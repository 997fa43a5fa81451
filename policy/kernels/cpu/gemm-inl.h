// Matrix products of one target. Each element of y is one chain of additions over k, in order of k
// (pairs of k with vdpbf16ps), whatever tile it falls in: tiles share loads, never a sum.
namespace aha::policy::cpu::AHA_NS {
#include "policy/kernels/cpu/simd-inl.h"
#include "policy/kernels/cpu/tile-inl.h"

constexpr std::size_t kPanel = PackedMatrix::kPanel;
constexpr std::size_t kVectors = kPanel / kL;  // vectors across a panel
constexpr std::size_t kRowBlockBytes = std::size_t{1}
                                       << 18;  // rows of x that stay in the second-level cache

template <Way way>
HWY_INLINE std::size_t Steps(const GemmCall& call) {
  const std::size_t k = call.k_end - call.k_begin;
  return way == Way::kFp32 ? k : (k + 1) / 2;
}
// A panel from the call's first k on.
template <Way way>
HWY_INLINE const std::byte* PanelOf(const GemmCall& call, std::size_t panel) {
  return call.w->panel(panel) + call.k_begin * kPanel * (way == Way::kFp32 ? 4 : 2);
}

// Accumulates, and asks for what comes next if there is something to ask for.
template <Way way, int MR, int NV>
HWY_INLINE void SumAhead(const GemmCall& call,
                         const Source& x,
                         const std::byte* const (&from)[NV],
                         Tile<MR, NV>& tile,
                         const Ahead& ahead) {
  if (way == Way::kPairs && ahead.step != 0) {
    Accumulate<way, MR, NV>(x, from, Steps<way>(call), kPanel * 4, tile, ahead);
  } else {
    Accumulate<way, MR, NV>(x, from, Steps<way>(call), kPanel * 4, tile);
  }
}

// A tile of MR rows and NV vectors of columns, the first of them vector `v0` of W.
template <Way way, class Out, int MR, int NV>
void Product(const GemmCall& call,
             const Source& x,
             std::size_t row,
             std::size_t v0,
             const Ahead& ahead) {
  const std::byte* from[NV];
  for (int v = 0; v < NV; ++v)
    from[v] = PanelOf<way>(call, (v0 + v) / kVectors) + (v0 + v) % kVectors * (kL * 4);
  Out* y = static_cast<Out*>(call.y) + row * call.y_stride;
  const std::size_t column = v0 * kL;
  const auto left = [&](int v) {
    return call.n > column + v * kL ? call.n - column - v * kL : std::size_t{0};
  };
  Tile<MR, NV> tile;
#pragma GCC unroll 12
  for (int m = 0; m < MR; ++m) {
#pragma GCC unroll 8
    for (int v = 0; v < NV; ++v)
      tile.sum[m][v] = Zeros();
  }
  if constexpr (std::is_same_v<Out, float>) {
    if (call.add) {
#pragma GCC unroll 12
      for (int m = 0; m < MR; ++m) {
#pragma GCC unroll 8
        for (int v = 0; v < NV; ++v)
          tile.sum[m][v] = LoadN(y + m * call.y_stride + column + v * kL, left(v));
      }
    }
  }
  SumAhead<way, MR, NV>(call, x, from, tile, ahead);
  if (call.bias != nullptr) {
#pragma GCC unroll 8
    for (int v = 0; v < NV; ++v) {
      const V bias = LoadN(call.bias + column + v * kL, left(v));
#pragma GCC unroll 12
      for (int m = 0; m < MR; ++m)
        tile.sum[m][v] = hn::Add(tile.sum[m][v], bias);
    }
  }
#pragma GCC unroll 12
  for (int m = 0; m < MR; ++m) {
#pragma GCC unroll 8
    for (int v = 0; v < NV; ++v)
      StoreN(tile.sum[m][v], y + m * call.y_stride + column + v * kL, left(v));
  }
}

// silu(gate) * up of MR rows and NV vectors of columns, rounding where separate operators would.
template <Way way, class Out, int MR, int NV>
void SwiGluProduct(const GemmCall& call,
                   const Source& x,
                   std::size_t row,
                   std::size_t v0,
                   const Ahead& ahead) {
  const std::byte* from[2 * NV];
  for (int v = 0; v < NV; ++v) {
    const std::size_t panel = (v0 + v) / kVectors * 2;
    const std::size_t within = (v0 + v) % kVectors * (kL * 4);
    from[v] = PanelOf<way>(call, panel) + within;
    from[NV + v] = PanelOf<way>(call, panel + 1) + within;
  }
  Tile<MR, 2 * NV> tile;
#pragma GCC unroll 12
  for (int m = 0; m < MR; ++m) {
#pragma GCC unroll 8
    for (int v = 0; v < 2 * NV; ++v)
      tile.sum[m][v] = Zeros();
  }
  SumAhead<way, MR, 2 * NV>(call, x, from, tile, ahead);
  Out* y = static_cast<Out*>(call.y) + row * call.y_stride;
#pragma GCC unroll 12
  for (int m = 0; m < MR; ++m) {
#pragma GCC unroll 8
    for (int v = 0; v < NV; ++v) {
      const std::size_t column = (v0 + v) * kL;
      const V gate = Rounded<Out>(tile.sum[m][v]);
      const V up = Rounded<Out>(tile.sum[m][NV + v]);
      const V value = hn::Mul(Rounded<Out>(hn::Mul(gate, SigmoidOfFinite(gate))), up);
      StoreN(value, y + m * call.y_stride + column, call.n > column ? call.n - column : 0);
    }
  }
}

// Copies rows as tiles read them, when they cannot be read where they are.
template <Way way>
Source Stage(const GemmCall& call, std::size_t row, std::size_t rows) {
  const std::size_t k = call.k_end - call.k_begin;
  if constexpr (way == Way::kFp32) {
    const float* x = static_cast<const float*>(call.x) + row * call.x_stride + call.k_begin;
    return {reinterpret_cast<const std::byte*>(x), call.x_stride * 4};
  } else {
    const Bf16* x = static_cast<const Bf16*>(call.x) + row * call.x_stride + call.k_begin;
    if (way == Way::kPairs && k % 2 == 0)
      return {reinterpret_cast<const std::byte*>(x), call.x_stride * 2};
    using T = std::conditional_t<way == Way::kPairs, Bf16, float>;
    const std::size_t wide = (k + 1) / 2 * 2;
    auto* copy = static_cast<T*>(ThreadScratch(ScratchSlot::kRows, rows * wide * sizeof(T)));
    for (std::size_t r = 0; r < rows; ++r) {
      T* to = copy + r * wide;
      const Bf16* from = x + r * call.x_stride;
      if constexpr (way == Way::kPairs) {
        std::memcpy(to, from, k * sizeof(T));
      } else {
        for (std::size_t i = 0; i < k; i += kL)
          StoreN(LoadN(from + i, k - i), to + i, k - i);
      }
      if (wide > k) to[k] = T{};
    }
    return {reinterpret_cast<const std::byte*>(copy), wide * sizeof(T)};
  }
}

using TileFunction =
    void (*)(const GemmCall&, const Source&, std::size_t row, std::size_t v0, const Ahead&);

// A tile function and its width, for each number of rows; few rows take more columns, to hide the
// latency of sums.
struct TileChoice {
  TileFunction wide, narrow;
  std::size_t vectors;
};

template <Way way, class Out, bool swiglu, int MR>
constexpr TileChoice Choice() {
  if constexpr (kL < 16) {
    if constexpr (swiglu)
      return {SwiGluProduct<way, Out, MR, 1>, SwiGluProduct<way, Out, MR, 1>, 1};
    else
      return {Product<way, Out, MR, 2>, Product<way, Out, MR, 2>, 2};
  } else if constexpr (swiglu) {
    constexpr int kWide = MR <= 3 ? 4 : MR <= 6 ? 2 : 1;
    return {SwiGluProduct<way, Out, MR, kWide>,
            SwiGluProduct < way,
            Out,
            MR,
            kWide == 1 ? 1 : 2 >,
            kWide};
  } else {
    constexpr int kWide = MR <= 3 ? 8 : MR <= 6 ? 4 : 2;
    return {Product<way, Out, MR, kWide>, Product<way, Out, MR, 2>, kWide};
  }
}

template <Way way, class Out, bool swiglu, std::size_t... I>
constexpr std::array<TileChoice, sizeof...(I)> Choices(std::index_sequence<I...>) {
  return {Choice<way, Out, swiglu, static_cast<int>(I) + 1>()...};
}

// What tile t of `tiles` asks for while `width` vectors of columns from v on are done: a share of
// as much of W as they read, right after it. Panels lie one after the other; with gate and up, a
// vector of columns is half a panel of each.
template <bool swiglu>
HWY_INLINE Ahead
Next(const GemmCall& call, std::size_t v, std::size_t width, std::size_t tiles, std::size_t t) {
  constexpr std::size_t kPerPanel = swiglu ? kVectors / 2 : kVectors;
  const std::size_t panels = std::max<std::size_t>(1, width / kPerPanel);
  const std::size_t next = v / kPerPanel + (swiglu ? std::max<std::size_t>(2, panels) : panels);
  const std::size_t shares = tiles >= 4 ? 4 : tiles >= 2 ? 2 : 1;
  const std::size_t end = swiglu ? 2 * call.panel_end : call.panel_end;
  // Few rows wait for memory alone; it is kept busy without.
  const bool last = next + panels > end;
  if (panels >= 4 || t >= shares || (last && call.then == nullptr)) return {};
  const std::size_t bytes = (call.k_end - call.k_begin + 1) / 2 * kPanel * 4 * panels;
  const std::byte* from =
      last ? call.then + (next > end ? bytes : 0) : PanelOf<Way::kPairs>(call, next);
  return {from + bytes / shares * t, kPanel * 4 * panels / shares};
}

template <Way way, class Out, bool swiglu>
void GemmSlab(const GemmCall& call) {
  static constexpr auto kChoices = Choices<way, Out, swiglu>(std::make_index_sequence<kMostRows>());
  const std::size_t row_bytes = (call.k_end - call.k_begin + 1) * (way == Way::kPairs ? 2 : 4);
  const std::size_t block = std::max(kMostRows, kRowBlockBytes / row_bytes / kMostRows * kMostRows);
  const std::size_t end = call.panel_end * kVectors;
  for (std::size_t start = 0; start < call.rows; start += block) {
    const std::size_t rows = std::min(block, call.rows - start);
    const std::size_t tiles = (rows + kMostRows - 1) / kMostRows;
    const Source x = Stage<way>(call, start, rows);
    // Tiles differ by a row at most; all take the step of the tallest.
    const TileChoice& tallest = kChoices[(rows + tiles - 1) / tiles - 1];
    for (std::size_t v = call.panel_begin * kVectors; v < end;) {
      const bool wide = end - v >= tallest.vectors;
      for (std::size_t t = 0; t < tiles; ++t) {
        const std::size_t first = rows * t / tiles;
        const TileChoice& choice = kChoices[rows * (t + 1) / tiles - first - 1];
        const Source tile = {x.data + first * x.bytes, x.bytes};
        const Ahead ahead = Next<swiglu>(call, v, tallest.vectors, tiles, t);
        if (wide && choice.vectors == tallest.vectors) {
          choice.wide(call, tile, start + first, v, ahead);
        } else {
          const std::size_t narrow = swiglu && (kL < 16 || choice.vectors == 1) ? 1 : 2;
          for (std::size_t u = v; u < v + (wide ? tallest.vectors : narrow); u += narrow)
            choice.narrow(call, tile, start + first, u, ahead);
        }
      }
      v += wide ? tallest.vectors : swiglu && (kL < 16 || tallest.vectors == 1) ? 1 : 2;
    }
  }
}

// Long rows into fp32 go slab by slab of k, sums waiting in y between them: the same chains, and W
// is read once.
template <Way way, class Out, bool swiglu>
void Gemm(const GemmCall& call) {
  constexpr std::size_t kSlab = 2048;
  GemmCall slab = call;
  slab.k_end = call.w->k();
  if constexpr (std::is_same_v<Out, float> && !swiglu) {
    while (call.rows > kMostRows && slab.k_end - slab.k_begin > 2 * kSlab) {
      slab.k_end = slab.k_begin + kSlab;
      slab.bias = nullptr;
      GemmSlab<way, Out, swiglu>(slab);
      slab.add = true;
      slab.bias = call.bias;
      slab.k_begin = slab.k_end;
      slab.k_end = call.w->k();
    }
  }
  GemmSlab<way, Out, swiglu>(slab);
}

const GemmKernels& Table() {
  static constexpr GemmKernels kTable = {Gemm<kBf16Way, Bf16, false>, Gemm<kBf16Way, float, false>,
                                         Gemm<Way::kFp32, float, false>, Gemm<kBf16Way, Bf16, true>,
                                         Gemm<Way::kFp32, float, true>};
  return kTable;
}

}  // namespace aha::policy::cpu::AHA_NS
