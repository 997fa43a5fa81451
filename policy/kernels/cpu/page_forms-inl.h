// A latent page, plain rows [P][wide], as keys and as values of a product. After simd-inl.h, inside
// its namespace.

#if HWY_TARGET == HWY_AVX3
// 16 x 16 words turned.
HWY_INLINE void TurnSquare(const std::uint32_t* from,
                           std::size_t from_stride,
                           std::uint32_t* to,
                           std::size_t to_stride) {
  __m512i a[16], b[16];
#pragma GCC unroll 16
  for (int i = 0; i < 16; ++i)
    a[i] = _mm512_loadu_si512(from + i * from_stride);
#pragma GCC unroll 8
  for (int i = 0; i < 8; ++i) {
    b[2 * i] = _mm512_unpacklo_epi32(a[2 * i], a[2 * i + 1]);
    b[2 * i + 1] = _mm512_unpackhi_epi32(a[2 * i], a[2 * i + 1]);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    a[4 * i] = _mm512_unpacklo_epi64(b[4 * i], b[4 * i + 2]);
    a[4 * i + 1] = _mm512_unpackhi_epi64(b[4 * i], b[4 * i + 2]);
    a[4 * i + 2] = _mm512_unpacklo_epi64(b[4 * i + 1], b[4 * i + 3]);
    a[4 * i + 3] = _mm512_unpackhi_epi64(b[4 * i + 1], b[4 * i + 3]);
  }
  // a[4 r + c]: columns c, c + 4, c + 8, c + 12 (a quarter each) of rows 4 r .. 4 r + 3.
#pragma GCC unroll 4
  for (int c = 0; c < 4; ++c) {
    const __m512i low01 = _mm512_shuffle_i32x4(a[c], a[4 + c], 0x44);
    const __m512i high01 = _mm512_shuffle_i32x4(a[c], a[4 + c], 0xEE);
    const __m512i low23 = _mm512_shuffle_i32x4(a[8 + c], a[12 + c], 0x44);
    const __m512i high23 = _mm512_shuffle_i32x4(a[8 + c], a[12 + c], 0xEE);
    _mm512_storeu_si512(to + c * to_stride, _mm512_shuffle_i32x4(low01, low23, 0x88));
    _mm512_storeu_si512(to + (c + 4) * to_stride, _mm512_shuffle_i32x4(low01, low23, 0xDD));
    _mm512_storeu_si512(to + (c + 8) * to_stride, _mm512_shuffle_i32x4(high01, high23, 0x88));
    _mm512_storeu_si512(to + (c + 12) * to_stride, _mm512_shuffle_i32x4(high01, high23, 0xDD));
  }
}
#endif

// Tokens side by side: [wide/2][P][2] of bf16, [wide][P] of fp32.
template <class T>
const std::byte* KeyForm(const T* page, std::size_t tokens, std::size_t wide, T* form) {
  const std::size_t words = wide * sizeof(T) / 4;
  const auto* from = reinterpret_cast<const std::uint32_t*>(page);
  auto* to = reinterpret_cast<std::uint32_t*>(form);
  for (std::size_t t0 = 0; t0 < tokens; t0 += 16) {
    std::size_t i = 0;
#if HWY_TARGET == HWY_AVX3
    for (; i + 16 <= words; i += 16)
      TurnSquare(from + t0 * words + i, words, to + i * tokens + t0, tokens);
#endif
    for (; i < words; ++i) {
#pragma GCC unroll 16
      for (std::size_t t = 0; t < 16; ++t)
        to[i * tokens + t0 + t] = from[(t0 + t) * words + i];
    }
  }
  return reinterpret_cast<const std::byte*>(form);
}

// Up to kL bf16 numbers, each in the upper half of a word.
HWY_INLINE hn::Vec<DU> Words(const Bf16* p, std::size_t n) {
  return hn::BitCast(DU(), LoadN(p, n));
}

// Pairs of tokens: [P/2][padded][2] of bf16; [P][padded] of fp32. The first `width` numbers of a
// row, then zeros.
template <class T>
const std::byte* ValueForm(const T* page,
                           std::size_t tokens,
                           std::size_t wide,
                           std::size_t width,
                           std::size_t padded,
                           T* form) {
  if constexpr (std::is_same_v<T, float>) {
    for (std::size_t t = 0; t < tokens; ++t) {
      std::copy_n(page + t * wide, width, form + t * padded);
      std::fill(form + t * padded + width, form + (t + 1) * padded, 0.0F);
    }
  } else {
    auto* to = reinterpret_cast<std::uint32_t*>(form);
    for (std::size_t t = 0; t < tokens; t += 2, to += padded) {
      const Bf16* first = page + t * wide;
      for (std::size_t i = 0; i < padded; i += kL) {
        const std::size_t left = i < width ? width - i : 0;
        const auto pair =
            hn::Or(hn::ShiftRight<16>(Words(first + i, left)), Words(first + wide + i, left));
        hn::StoreU(pair, DU(), to + i);
      }
    }
  }
  return reinterpret_cast<const std::byte*>(form);
}
