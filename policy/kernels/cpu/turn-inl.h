// Matrices of 32-bit words turned. After simd-inl.h, inside its namespace.

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

// Sixteen rows of `columns` words become columns: to[c * to_stride + r] = from[r * from_stride +
// c].
HWY_INLINE void Turn16(const std::uint32_t* from,
                       std::size_t from_stride,
                       std::size_t columns,
                       std::uint32_t* to,
                       std::size_t to_stride) {
#if HWY_TARGET == HWY_AVX3
  std::size_t squares = columns / 16 * 16;
  for (std::size_t c = 0; c < squares; c += 16)
    TurnSquare(from + c, from_stride, to + c * to_stride, to_stride);
  if (squares > 0 && squares < columns) {  // the last one overlaps
    squares = columns;
    TurnSquare(from + columns - 16, from_stride, to + (columns - 16) * to_stride, to_stride);
  }
#else
  constexpr std::size_t squares = 0;
#endif
  for (std::size_t c = squares; c < columns; ++c) {
#pragma GCC unroll 16
    for (std::size_t r = 0; r < 16; ++r)
      to[c * to_stride + r] = from[r * from_stride + c];
  }
}
