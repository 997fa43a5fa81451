#pragma once
/// Pages of a key-value cache, in the forms that attention reads.
///
/// Shapes: P tokens a page, G key-value heads, W numbers of a key, D of a value.

#include <cstddef>
#include <cstdint>

#include "policy/kernels/cpu/numbers.h"
#include "policy/kernels/cpu/packed_matrix.h"

namespace aha::policy::cpu {

/// What a layer's pages hold.
///
/// Latent (MLA absorbed, G = 1): plain rows [P][W]; the first D numbers of a key are the value.
/// Otherwise, a head after the other: keys with the tokens side by side, [W/2][P][2] in bf16 and
/// [W][P] in fp32; then values, [P/2][D][2] in bf16 (pairs of tokens) and [P][D] in fp32, D padded
/// to a multiple of 16. A bf16 key of odd width has a zero after it.
struct KvShape {
  NumberKind kind = NumberKind::kBf16;
  bool latent = false;
  std::size_t page_tokens = 32;  ///< 16, 32, 64 or 128
  std::size_t heads = 1;
  std::size_t key_width = 0;
  std::size_t value_width = 0;

  [[nodiscard]] std::size_t number_bytes() const { return kind == NumberKind::kBf16 ? 2 : 4; }
  [[nodiscard]] std::size_t padded_key() const {
    return kind == NumberKind::kBf16 ? (key_width + 1) / 2 * 2 : key_width;
  }
  [[nodiscard]] std::size_t padded_value() const { return (value_width + 15) / 16 * 16; }
  [[nodiscard]] std::size_t head_bytes() const {
    return page_tokens * (padded_key() + (latent ? 0 : padded_value())) * number_bytes();
  }
  /// Whole pages lie this far apart; a pool starts zeroed, so that unused places are finite.
  [[nodiscard]] std::size_t page_bytes() const { return heads * head_bytes(); }
};

/// Writes one token's key and value (no value when latent) of one head. T is the shape's kind.
template <class T>
void PutKv(const KvShape& shape,
           std::byte* page,
           std::size_t slot,
           std::size_t head,
           const T* key,
           const T* value);
/// Reads them back.
template <class T>
void GetKv(const KvShape& shape,
           const std::byte* page,
           std::size_t slot,
           std::size_t head,
           T* key,
           T* value);

}  // namespace aha::policy::cpu
