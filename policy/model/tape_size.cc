#include "policy/model/tape_size.h"

#include <cstdint>

namespace aha::policy {
namespace {

constexpr std::int64_t kPanel = 32;  // gate and up lie in turns of so many columns

// Numbers a token, by what block.h's tapes hold.

std::int64_t NetworkNumbers(std::int64_t width) {
  return 2 * ((width + kPanel - 1) / kPanel * kPanel);
}

std::int64_t AttentionNumbers(const PolicyConfig& c) {
  const std::int64_t heads = c.num_attention_heads;
  if (c.attention == AttentionKind::kGrouped) {
    const std::int64_t query = heads * c.head_dim;
    const std::int64_t keys = c.num_key_value_heads * c.head_dim;
    return 2 * query + 2 * keys + (c.qk_norm ? query + keys : 0);
  }
  const std::int64_t query = heads * c.qk_head_dim();
  const std::int64_t in = (c.q_lora_rank > 0 ? c.q_lora_rank : query) + c.kv_width();
  const std::int64_t low_rank = c.q_lora_rank > 0 ? c.q_lora_rank + query : 0;
  const std::int64_t absorbed = heads * (c.kv_width() + c.kv_lora_rank + c.v_head_dim);
  return in + low_rank + c.kv_width() + absorbed;
}

std::int64_t MixtureNumbers(const PolicyConfig& c) {
  const std::int64_t slots = c.num_experts_per_tok;
  std::int64_t numbers = slots * (c.hidden_size + NetworkNumbers(c.moe_intermediate_size));
  if (c.shared_width() > 0) {
    numbers += NetworkNumbers(c.shared_width()) + c.hidden_size * (c.shared_expert_gate ? 2 : 1);
  }
  return numbers;
}

}  // namespace

std::size_t TapeBytes(const PolicyConfig& c, std::size_t tokens) {
  std::int64_t numbers = 2 * c.hidden_size;  // before and after the final norm
  std::int64_t floats = 0;
  for (std::int64_t l = 0; l < c.num_hidden_layers; ++l) {
    const bool dense = c.dense_layer(l);
    numbers += 2 * c.hidden_size + AttentionNumbers(c);
    numbers += dense ? NetworkNumbers(c.intermediate_size) : MixtureNumbers(c);
    floats += c.num_attention_heads;
    if (!dense) floats += 2 * c.n_routed_experts + 2 * c.num_experts_per_tok;
  }
  return tokens * static_cast<std::size_t>(numbers * c.bytes_per_number() + floats * 4);
}

}  // namespace aha::policy
