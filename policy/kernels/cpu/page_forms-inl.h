// A latent page, plain rows [P][wide], as keys and as values of a product. After turn-inl.h, inside
// its namespace.

// Tokens side by side: [wide/2][P][2] of bf16, [wide][P] of fp32.
template <class T>
const std::byte* KeyForm(const T* page, std::size_t tokens, std::size_t wide, T* form) {
  const std::size_t words = wide * sizeof(T) / 4;
  const auto* from = reinterpret_cast<const std::uint32_t*>(page);
  auto* to = reinterpret_cast<std::uint32_t*>(form);
  for (std::size_t t0 = 0; t0 < tokens; t0 += 16)
    Turn16(from + t0 * words, words, words, to + t0, tokens);
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
