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

#if AHA_DP
HWY_INLINE V DotPairs(V sum, __m512i a, __m512i b) {
  return V{_mm512_dpbf16_ps(sum.raw, (__m512bh)a, (__m512bh)b)};
}
#endif

// Rows of x as tiles read them: `bytes` apart, padded to whole steps.
struct Source {
  const std::byte* data;
  std::size_t bytes;
};

// What a tile asks memory for while it works: `step` bytes a step, 0 for nothing. Pages end where
// the CPU's own guesses do; these do not.
struct Ahead {
  const std::byte* data = nullptr;
  std::size_t step = 0;
};

template <int MR, int NV>
struct Tile {
  V sum[MR][NV];
};

// Adds `steps` of k: row m of x times vector v of W, whose steps are `step_bytes` apart. One chain
// of sums each.
template <Way way, int MR, int NV>
HWY_INLINE void Accumulate(const Source& x,
                           const std::byte* const (&w)[NV],
                           std::size_t steps,
                           std::size_t step_bytes,
                           Tile<MR, NV>& tile,
                           [[maybe_unused]] const Ahead& ahead = {}) {
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
      __m512i b[NV];
#pragma GCC unroll 8
      for (int v = 0; v < NV; ++v)
        b[v] = _mm512_loadu_si512(w[v] + at);
      const auto* wanted = reinterpret_cast<const char*>(ahead.data + s * ahead.step);
      for (std::size_t line = 0; line < ahead.step; line += 64)
        _mm_prefetch(wanted + line, _MM_HINT_T1);
#pragma GCC unroll 12
      for (int m = 0; m < MR; ++m) {
        int pair;
        std::memcpy(&pair, x.data + m * x.bytes + 4 * s, 4);
        const __m512i a = _mm512_set1_epi32(pair);
#pragma GCC unroll 8
        for (int v = 0; v < NV; ++v)
          tile.sum[m][v] = DotPairs(tile.sum[m][v], b[v], a);
      }
#endif
    }
  }
}
