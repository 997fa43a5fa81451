// What latent and grouped attention have in common: pages and the kernel.

#include "policy/model/block.h"

namespace aha::policy {

template <class T>
void PutKeysAndValues(const BlockContext& context, Rows<const T> keys, Rows<const T> values) {
  const cpu::Working working(context.cpu.clock(), cpu::Work::kAttention);
  const cpu::KvShape& shape = context.shape;
  const BatchLayout& layout = context.layout;
  const auto put = [&](std::size_t t, std::int32_t page_number, std::int32_t slot) {
    std::byte* page = context.pages + static_cast<std::size_t>(page_number) * context.page_stride;
    for (std::size_t g = 0; g < shape.heads; ++g) {
      const T* value = shape.latent ? nullptr : values[t] + g * shape.value_width;
      cpu::PutKv<T>(shape, page, static_cast<std::size_t>(slot), g, keys[t] + g * shape.key_width,
                    value);
    }
  };
  constexpr std::size_t kGrain = 8;  // tokens worth a thread: each waits for lines of memory
  context.cpu.pool().ParallelFor(context.tokens(), kGrain, [&](std::size_t begin, std::size_t end) {
    for (std::size_t t = begin; t < end; ++t)
      put(t, layout.page_T[t], layout.slot_T[t]);
  });
  for (const BatchLayout::Copy& copy : layout.copies)
    put(copy.token, copy.page, copy.slot);
}

template <class T>
void RunAttention(const BlockContext& context, Rows<const T> query, Rows<T> mixed, float* lse_TA) {
  const cpu::Working working(context.cpu.clock(), cpu::Work::kAttention);
  cpu::AttentionCall call;
  call.shape = context.shape;
  call.pool = context.pages;
  call.page_stride = context.page_stride;
  call.sequences = context.layout.sequences_S;
  call.heads = static_cast<std::size_t>(context.config.num_attention_heads);
  call.scale = static_cast<float>(context.config.attention_scale());
  cpu::Attention(context.cpu, call, query, mixed, lse_TA);
}

template void PutKeysAndValues<cpu::Bf16>(const BlockContext&,
                                          Rows<const cpu::Bf16>,
                                          Rows<const cpu::Bf16>);
template void PutKeysAndValues<float>(const BlockContext&, Rows<const float>, Rows<const float>);
template void RunAttention<cpu::Bf16>(const BlockContext&,
                                      Rows<const cpu::Bf16>,
                                      Rows<cpu::Bf16>,
                                      float*);
template void RunAttention<float>(const BlockContext&, Rows<const float>, Rows<float>, float*);

}  // namespace aha::policy
