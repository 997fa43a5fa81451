#include "policy/architecture/architecture.h"

#include <array>

namespace aha::policy {
namespace {

constexpr std::array<const Architecture*, 8> kAll = {
    &kDeepseekV3, &kDeepseekV2, &kLlama, &kQwen2, &kQwen2Moe, &kQwen3, &kQwen3Moe, &kMixtral};

}  // namespace

std::span<const Architecture* const> Architectures() {
  return kAll;
}

const Architecture& ArchitectureOf(Family family) {
  for (const Architecture* architecture : kAll) {
    if (architecture->family == family) return *architecture;
  }
  return kDeepseekV3;
}

void ReadGroupedAttention(KeyReader& keys,
                          PolicyConfig& c,
                          std::optional<std::int64_t> kv_heads_absent) {
  c.attention = AttentionKind::kGrouped;
  c.rope_interleave = false;
  c.num_key_value_heads =
      keys.Count("num_key_value_heads", 1, c.num_attention_heads, kv_heads_absent);
  if (c.num_key_value_heads > 0 && c.num_attention_heads % c.num_key_value_heads != 0) {
    keys.Refuse("num_key_value_heads", fmt::format("is {}, must divide num_attention_heads {}",
                                                   c.num_key_value_heads, c.num_attention_heads));
  }
  c.head_dim = keys.Count("head_dim", 2, 65536,
                          c.num_attention_heads > 0 ? c.hidden_size / c.num_attention_heads : 0);
  if (keys.Find("head_dim") == nullptr &&
      c.hidden_size % std::max<std::int64_t>(1, c.num_attention_heads) != 0) {
    keys.Refuse("hidden_size",
                fmt::format("is {}, no multiple of num_attention_heads {}, and head_dim is missing",
                            c.hidden_size, c.num_attention_heads));
  }
  if (c.head_dim < 2 || c.head_dim % 2 != 0)
    keys.Refuse("head_dim", fmt::format("is {}, must be even", c.head_dim));
}

void WriteGroupedAttention(const PolicyConfig& c, Json& j) {
  j["num_key_value_heads"] = c.num_key_value_heads;
  j["head_dim"] = c.head_dim;
}

void RefuseSlidingWindow(KeyReader& keys) {
  keys.Require("use_sliding_window", false);
  const Json* types = keys.Find("layer_types");
  if (types == nullptr) return;
  if (!types->is_array()) return keys.Refuse("layer_types", "must be a list of names");
  for (const Json& type : *types) {
    if (type != "full_attention") {
      keys.Refuse("layer_types",
                  fmt::format("holds {}; only \"full_attention\" is supported", type.dump()));
    }
  }
}

void RefuseShortWindow(KeyReader& keys, const PolicyConfig& c) {
  if (keys.Find("sliding_window") == nullptr) return;
  const std::int64_t window = keys.Count("sliding_window", 0, kMostPositions);
  if (window >= c.max_position_embeddings) return;
  keys.Refuse("sliding_window",
              fmt::format("is {}; attention sees all of max_position_embeddings {} here, so only "
                          "null is supported",
                          window, c.max_position_embeddings));
}

void ReadSoftmaxExperts(KeyReader& keys,
                        PolicyConfig& c,
                        std::initializer_list<const char*> count_keys) {
  const char* count_key = *count_keys.begin();
  for (const char* key : count_keys) {
    if (keys.Find(key) != nullptr) count_key = key;
  }
  c.n_routed_experts = keys.Count(count_key, 1, kMostExperts);
  c.num_experts_per_tok = keys.Count("num_experts_per_tok", 1, c.n_routed_experts);
  c.scoring = Scoring::kSoftmax;
  c.selection_bias = false;
}

}  // namespace aha::policy
