#include "policy/kernels/cpu/kv_pages.h"

#include <algorithm>

namespace aha::policy::cpu {
namespace {

// Places of number i of a token's key and value, from the head's start.
std::size_t KeyPlace(const KvShape& s, std::size_t slot, std::size_t i) {
  if (s.latent) return slot * s.padded_key() + i;
  if (s.kind == NumberKind::kFp32) return i * s.page_tokens + slot;
  return (i / 2 * s.page_tokens + slot) * 2 + i % 2;
}
std::size_t ValuePlace(const KvShape& s, std::size_t slot, std::size_t i) {
  if (s.latent) return slot * s.padded_key() + i;
  const std::size_t start = s.padded_key() * s.page_tokens;
  if (s.kind == NumberKind::kFp32) return start + slot * s.padded_value() + i;
  return start + (slot / 2 * s.padded_value() + i) * 2 + slot % 2;
}

}  // namespace

template <class T>
void PutKv(const KvShape& shape,
           std::byte* page,
           std::size_t slot,
           std::size_t head,
           const T* key,
           const T* value) {
  auto* to = reinterpret_cast<T*>(page + head * shape.head_bytes());
  if (shape.latent) {
    std::copy_n(key, shape.key_width, to + KeyPlace(shape, slot, 0));
    return;
  }
  T* place = to + KeyPlace(shape, slot, 0);
  std::size_t i = 0;
  if (shape.kind == NumberKind::kBf16) {
    for (; i + 2 <= shape.key_width; i += 2, place += 2 * shape.page_tokens)
      std::copy_n(key + i, 2, place);
  }
  for (; i < shape.key_width; ++i)
    to[KeyPlace(shape, slot, i)] = key[i];
  T* from = to + ValuePlace(shape, slot, 0);
  const std::size_t apart = shape.kind == NumberKind::kBf16 ? 2 : 1;
  for (std::size_t d = 0; d < shape.value_width; ++d)
    from[d * apart] = value[d];
}

template <class T>
void GetKv(const KvShape& shape,
           const std::byte* page,
           std::size_t slot,
           std::size_t head,
           T* key,
           T* value) {
  const auto* from = reinterpret_cast<const T*>(page + head * shape.head_bytes());
  for (std::size_t i = 0; i < shape.key_width; ++i)
    key[i] = from[KeyPlace(shape, slot, i)];
  for (std::size_t i = 0; i < shape.value_width; ++i)
    value[i] = from[ValuePlace(shape, slot, i)];
}

template void PutKv<Bf16>(const KvShape&,
                          std::byte*,
                          std::size_t,
                          std::size_t,
                          const Bf16*,
                          const Bf16*);
template void PutKv<float>(const KvShape&,
                           std::byte*,
                           std::size_t,
                           std::size_t,
                           const float*,
                           const float*);
template void GetKv<Bf16>(const KvShape&, const std::byte*, std::size_t, std::size_t, Bf16*, Bf16*);
template void GetKv<float>(const KvShape&,
                           const std::byte*,
                           std::size_t,
                           std::size_t,
                           float*,
                           float*);

}  // namespace aha::policy::cpu
