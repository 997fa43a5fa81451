#include "policy/model/kv_pool.h"

#include <cstring>

namespace aha::policy {
namespace {

std::size_t LayersOf(const PolicyConfig& config) {
  return static_cast<std::size_t>(config.num_hidden_layers + config.num_nextn_predict_layers);
}

}  // namespace

cpu::KvShape KvShapeOf(const PolicyConfig& config, std::size_t page_tokens) {
  cpu::KvShape shape;
  shape.kind = config.dtype == NumberType::kBf16 ? cpu::NumberKind::kBf16 : cpu::NumberKind::kFp32;
  shape.page_tokens = page_tokens;
  shape.latent = config.attention == AttentionKind::kLatent;
  if (shape.latent) {
    shape.key_width = static_cast<std::size_t>(config.kv_lora_rank + config.qk_rope_head_dim);
    shape.value_width = static_cast<std::size_t>(config.kv_lora_rank);
  } else {
    shape.heads = static_cast<std::size_t>(config.num_key_value_heads);
    shape.key_width = shape.value_width = static_cast<std::size_t>(config.head_dim);
  }
  return shape;
}

KvPool::KvPool(const PolicyConfig& config, std::size_t pages, std::size_t page_tokens)
    : shape_(KvShapeOf(config, page_tokens)),
      layers_(LayersOf(config)),
      pages_(pages),
      memory_(layers_ * pages * shape_.page_bytes()) {}

void KvPool::CopyPage(std::size_t from, std::size_t to) {
  for (std::size_t l = 0; l < layers_; ++l)
    std::memcpy(layer(l) + to * page_stride(), layer(l) + from * page_stride(), page_stride());
}

void KvPool::ClearPage(std::size_t page) {
  for (std::size_t l = 0; l < layers_; ++l)
    std::memset(layer(l) + page * page_stride(), 0, page_stride());
}

std::size_t KvPool::PageBytes(const PolicyConfig& config, std::size_t page_tokens) {
  return LayersOf(config) * KvShapeOf(config, page_tokens).page_bytes();
}

}  // namespace aha::policy
