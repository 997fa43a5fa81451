// The inner loop of every product of one target: a tile of sums in registers. After simd-inl.h,
// inside its namespace.

// Rows of a tile: sums fill the registers. Tiles change no bit; sanitizers take long to compile
// large ones.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr std::size_t kMostRows = 4;
#else
constexpr std::size_t kMostRows = kL == 16 ? 12 : 5;
#endif

// How W and x meet: plain fp32; bf16 widened to fp32; bf16 pairs by vdpbf16ps.
enum class Way { kFp32, kWiden, kPairs };
#if AHA_DP
constexpr Way kBf16Way = Way::kPairs;
#else
constexpr Way kBf16Way = Way::kWiden;
#endif

// Rows of x as tiles read them: `bytes` apart, padded to whole steps.
struct Source {
  const std::byte* data;
  std::size_t bytes;
};

// Asks memory for a line, into the second-level cache: many can be on their way there at once, few
// into the first.
HWY_INLINE void Ask([[maybe_unused]] const std::byte* line) {
#if HWY_TARGET == HWY_AVX3
  _mm_prefetch(reinterpret_cast<const char*>(line), _MM_HINT_T1);
#endif
}

// What a tile asks memory for while it works, a little at each step: so much at once would only
// wait in line. Pages end where the CPU's own guesses do; these do not.
struct Ahead {  // `step` bytes a step, 0 for nothing
  const std::byte* data = nullptr;
  std::size_t step = 0;
  HWY_INLINE void operator()(std::size_t s, std::size_t /*at*/) const {
    for (std::size_t line = 0; line < step; line += 64)
      Ask(data + s * step + line);
  }
};
template <int NV>
struct AheadOfEach {  // what lies as the tile's own vectors do, elsewhere
  const std::byte* from[NV];
  HWY_INLINE void operator()(std::size_t /*s*/, std::size_t at) const {
#pragma GCC unroll 8
    for (int v = 0; v < NV; ++v)
      Ask(from[v] + at);
  }
};

template <int MR, int NV>
struct Tile {
  V sum[MR][NV];
};

#if AHA_DP
HWY_INLINE V DotPairs(V sum, __m512i a, __m512i b) {
  return V{_mm512_dpbf16_ps(sum.raw, (__m512bh)a, (__m512bh)b)};
}
// Pair s of row m, in every lane.
HWY_INLINE __m512i PairAt(const Source& x, std::size_t m, std::size_t s) {
  int pair;
  std::memcpy(&pair, x.data + m * x.bytes + 4 * s, 4);
  return _mm512_set1_epi32(pair);
}
#endif

// Adds `steps` of k: row m of x times vector v of W, whose steps are `step_bytes` apart. One chain
// of sums each.
template <Way way, int MR, int NV, class Asks = Ahead>
HWY_INLINE void Accumulate(const Source& x,
                           const std::byte* const (&w)[NV],
                           std::size_t steps,
                           std::size_t step_bytes,
                           Tile<MR, NV>& tile,
                           [[maybe_unused]] const Asks& ahead = {}) {
  std::size_t at = 0;
  for (std::size_t s = 0; s < steps; ++s, at += step_bytes) {
    if constexpr (way == Way::kFp32) {
      V b[NV];
#pragma GCC unroll 8
      for (int v = 0; v < NV; ++v)
        b[v] = Load(reinterpret_cast<const float*>(w[v] + at));
#pragma GCC unroll 12
      for (int m = 0; m < MR; ++m) {
        const V a = Set(reinterpret_cast<const float*>(x.data + m * x.bytes)[s]);
#pragma GCC unroll 8
        for (int v = 0; v < NV; ++v)
          tile.sum[m][v] = Fma(a, b[v], tile.sum[m][v]);
      }
    } else if constexpr (way == Way::kWiden) {
      V low[NV], high[NV];
#pragma GCC unroll 8
      for (int v = 0; v < NV; ++v) {
        const auto pairs = hn::LoadU(DU(), reinterpret_cast<const std::uint32_t*>(w[v] + at));
        low[v] = hn::BitCast(D(), hn::ShiftLeft<16>(pairs));
        high[v] = hn::BitCast(D(), hn::And(pairs, hn::Set(DU(), 0xFFFF0000U)));
      }
#pragma GCC unroll 12
      for (int m = 0; m < MR; ++m) {
        const float* a = reinterpret_cast<const float*>(x.data + m * x.bytes) + 2 * s;
        const V first = Set(a[0]);
        const V second = Set(a[1]);
#pragma GCC unroll 8
        for (int v = 0; v < NV; ++v)
          tile.sum[m][v] = Fma(second, high[v], Fma(first, low[v], tile.sum[m][v]));
      }
    } else {
#if AHA_DP
      ahead(s, at);
      // The fewer of the two stay in registers; the others are loaded once.
      if constexpr (MR < NV) {
        __m512i a[MR];
#pragma GCC unroll 12
        for (int m = 0; m < MR; ++m)
          a[m] = PairAt(x, m, s);
#pragma GCC unroll 8
        for (int v = 0; v < NV; ++v) {
          const __m512i b = _mm512_loadu_si512(w[v] + at);
#pragma GCC unroll 12
          for (int m = 0; m < MR; ++m)
            tile.sum[m][v] = DotPairs(tile.sum[m][v], b, a[m]);
        }
      } else {
        __m512i b[NV];
#pragma GCC unroll 8
        for (int v = 0; v < NV; ++v)
          b[v] = _mm512_loadu_si512(w[v] + at);
#pragma GCC unroll 12
        for (int m = 0; m < MR; ++m) {
          const __m512i a = PairAt(x, m, s);
#pragma GCC unroll 8
          for (int v = 0; v < NV; ++v)
            tile.sum[m][v] = DotPairs(tile.sum[m][v], b[v], a);
        }
      }
#endif
    }
  }
}
