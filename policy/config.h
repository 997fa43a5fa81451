#pragma once
/// A policy's shape, read from and written to Hugging Face's config.json (DeepseekV3ForCausalLM).
/// Members bear config.json's key names; DeepSeek-V3 is arXiv:2412.19437, section 2.

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace aha::policy {

/// Number type of weights and activations. The router, softmax and log-probabilities are fp32 always.
enum class NumberType : std::uint8_t { kFp32, kBf16 };

/// YaRN (arXiv:2309.00071) as DeepSeek-V3's released code reads it.
struct YarnScaling {
  double factor = 1;
  double beta_fast = 32;
  double beta_slow = 1;
  double mscale = 1;
  double mscale_all_dim = 0;
  std::int64_t original_max_position_embeddings = 4096;
};

struct PolicyConfig {
  std::int64_t vocab_size = 0;
  std::int64_t hidden_size = 0;
  std::int64_t intermediate_size = 0;
  std::int64_t moe_intermediate_size = 0;
  std::int64_t num_hidden_layers = 0;
  std::int64_t num_attention_heads = 0;
  std::int64_t q_lora_rank = 0;  ///< 0: null in config.json, one q_proj
  std::int64_t kv_lora_rank = 0;
  std::int64_t qk_nope_head_dim = 0;
  std::int64_t qk_rope_head_dim = 0;
  std::int64_t v_head_dim = 0;
  std::int64_t n_routed_experts = 0;
  std::int64_t n_shared_experts = 0;
  std::int64_t num_experts_per_tok = 0;
  std::int64_t n_group = 1;
  std::int64_t topk_group = 1;
  bool norm_topk_prob = true;
  double routed_scaling_factor = 1;
  std::int64_t first_k_dense_replace = 0;
  std::int64_t num_nextn_predict_layers = 0;
  std::int64_t max_position_embeddings = 0;
  double rms_norm_eps = 1e-6;
  double rope_theta = 10000;
  std::optional<YarnScaling> yarn;
  bool rope_interleave = true;  ///< pairs are (x_2j, x_2j+1); false: (x_j, x_{j+d/2})
  bool tie_word_embeddings = false;
  double initializer_range = 0.02;
  std::optional<std::int64_t> bos_token_id;
  std::optional<std::int64_t> eos_token_id;
  NumberType dtype = NumberType::kBf16;

  [[nodiscard]] std::int64_t qk_head_dim() const { return qk_nope_head_dim + qk_rope_head_dim; }
  /// Numbers cached for a token in one layer: the latent and the rotated shared key.
  [[nodiscard]] std::int64_t kv_width() const { return kv_lora_rank + qk_rope_head_dim; }
  [[nodiscard]] bool dense_layer(std::int64_t layer) const { return layer < first_k_dense_replace; }
  /// Softmax scale of attention: (nope + rope)^-1/2, times m^2 under YaRN.
  [[nodiscard]] double attention_scale() const;
  [[nodiscard]] std::int64_t bytes_per_number() const { return dtype == NumberType::kBf16 ? 2 : 4; }
};

/// Parameters in all, and those that one token meets (embedding and head included); MTP apart.
struct ParameterCount {
  std::int64_t total = 0;
  std::int64_t active = 0;
  std::int64_t mtp = 0;
};
ParameterCount CountParameters(const PolicyConfig& config);

/// Reads `folder`/config.json. Errors name the file and the key: a key that is missing, of the wrong
/// type, out of range, or that asks for mathematics which is not here (kInvalidArgument, kCorrupt).
Result<PolicyConfig> ReadConfig(const std::filesystem::path& folder);
/// The same from text; `where` is what errors call the file.
Result<PolicyConfig> ParseConfig(std::string_view json, std::string_view where);
/// config.json's text, with the keys that transformers reads (`rope_scaling` and `rope_parameters` both).
std::string ConfigJson(const PolicyConfig& config);

}  // namespace aha::policy
