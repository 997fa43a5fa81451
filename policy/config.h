#pragma once
/// A policy's shape and mathematics, read from and written to Hugging Face's config.json.
/// Members bear config.json's key names where there is one; which keys a family of models reads is
/// told in policy/architecture/.

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace aha::policy {

/// Number type of weights and activations. The router, softmax and log-probabilities are fp32
/// always.
enum class NumberType : std::uint8_t { kFp32, kBf16 };

/// The families of models, one description each (policy/architecture/architecture.h).
enum class Family : std::uint8_t {
  kDeepseekV3,
  kDeepseekV2,
  kLlama,
  kQwen2,
  kQwen2Moe,
  kQwen3,
  kQwen3Moe,
  kMixtral,
};

/// kLatent: multi-head latent attention (DeepSeek-V2, arXiv:2405.04434); kGrouped: every key and
/// value head serves num_attention_heads / num_key_value_heads query heads.
enum class AttentionKind : std::uint8_t { kLatent, kGrouped };

/// How a router turns logits into affinities.
enum class Scoring : std::uint8_t { kSigmoid, kSoftmax };

/// YaRN (arXiv:2309.00071) as transformers reads it.
struct YarnScaling {
  double factor = 1;
  double beta_fast = 32;
  double beta_slow = 1;
  double mscale = 0;  ///< 0: absent
  double mscale_all_dim = 0;
  std::int64_t original_max_position_embeddings = 4096;
  std::optional<double> attention_factor = {};  ///< amplitude of cos and sin; else from the mscales
  bool truncate = true;                         ///< the ramp's ends are whole indices
};

/// Llama 3.1's blend of frequencies.
struct Llama3Scaling {
  double factor = 8;
  double low_freq_factor = 1;
  double high_freq_factor = 4;
  std::int64_t original_max_position_embeddings = 8192;
};

struct PolicyConfig {
  Family family = Family::kDeepseekV3;
  AttentionKind attention = AttentionKind::kLatent;
  std::int64_t vocab_size = 0;
  std::int64_t hidden_size = 0;
  std::int64_t intermediate_size = 0;  ///< of dense layers
  std::int64_t num_hidden_layers = 0;
  std::int64_t num_attention_heads = 0;
  // Latent attention.
  std::int64_t q_lora_rank = 0;  ///< 0: null in config.json, one q_proj
  std::int64_t kv_lora_rank = 0;
  std::int64_t qk_nope_head_dim = 0;
  std::int64_t qk_rope_head_dim = 0;
  std::int64_t v_head_dim = 0;
  // Grouped attention.
  std::int64_t num_key_value_heads = 0;
  std::int64_t head_dim = 0;
  bool qk_norm = false;      ///< RMSNorm over each query and key head
  bool input_bias = false;   ///< on q, k, v; on q_a and kv_a of latent attention
  bool output_bias = false;  ///< on o
  bool mlp_bias = false;     ///< on dense and shared networks, never on routed experts
  // Experts; n_routed_experts 0: every layer is dense.
  std::int64_t moe_intermediate_size = 0;
  std::int64_t n_routed_experts = 0;
  std::int64_t n_shared_experts = 0;
  std::int64_t shared_expert_intermediate_size =
      0;                            ///< 0: moe_intermediate_size * n_shared_experts
  bool shared_expert_gate = false;  ///< sigmoid(w x) times the shared network
  std::int64_t num_experts_per_tok = 0;
  Scoring scoring = Scoring::kSigmoid;
  bool selection_bias = true;  ///< e_score_correction_bias: balances the choice, not the weights
  std::int64_t n_group = 1;
  std::int64_t topk_group = 1;
  std::int64_t group_score_experts = 2;  ///< a group's score is the sum of its best so many
  bool norm_topk_prob = true;
  double routed_scaling_factor = 1;
  // Layers that are dense although there are experts: see dense_layer().
  std::int64_t first_k_dense_replace = 0;
  std::int64_t moe_layer_freq = 1;
  std::int64_t decoder_sparse_step = 1;
  std::vector<std::int64_t> mlp_only_layers;
  std::int64_t num_nextn_predict_layers = 0;
  std::int64_t max_position_embeddings = 0;
  double rms_norm_eps = 1e-6;
  double rope_theta = 10000;
  double rope_linear_factor = 1;  ///< frequencies are divided by it
  std::optional<YarnScaling> yarn;
  std::optional<Llama3Scaling> llama3;
  bool rope_interleave = true;  ///< pairs are (x_2j, x_2j+1); false: (x_j, x_{j+d/2})
  bool tie_word_embeddings = false;
  double initializer_range = 0.02;
  std::optional<std::int64_t> bos_token_id;
  std::optional<std::int64_t> eos_token_id;      ///< the first, when config.json lists several
  std::vector<std::int64_t> more_eos_token_ids;  ///< the others
  NumberType dtype = NumberType::kBf16;

  /// Epsilon of the norms of latents: the released code and transformers do not read a key for it.
  static constexpr double kLatentNormEps = 1e-6;

  [[nodiscard]] std::int64_t qk_head_dim() const { return qk_nope_head_dim + qk_rope_head_dim; }
  /// Width of the part of a head that rotates.
  [[nodiscard]] std::int64_t rope_width() const {
    return attention == AttentionKind::kLatent ? qk_rope_head_dim : head_dim;
  }
  /// Numbers cached for a token in one layer: the latent and the rotated shared key, or every key
  /// and value head.
  [[nodiscard]] std::int64_t kv_width() const {
    return attention == AttentionKind::kLatent ? kv_lora_rank + qk_rope_head_dim
                                               : 2 * num_key_value_heads * head_dim;
  }
  /// Width of the shared network of an MoE layer; 0: there is none.
  [[nodiscard]] std::int64_t shared_width() const {
    return shared_expert_intermediate_size > 0 ? shared_expert_intermediate_size
                                               : moe_intermediate_size * n_shared_experts;
  }
  [[nodiscard]] bool dense_layer(std::int64_t layer) const;
  /// Softmax scale of attention: head width^-1/2, times m^2 for latent attention under YaRN.
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

/// Reads `folder`/config.json. Errors name the file and the key: a key that is missing, of the
/// wrong type, out of range, or that asks for mathematics which is not here (kInvalidArgument,
/// kCorrupt). Keys that no policy reads pass.
Result<PolicyConfig> ReadConfig(const std::filesystem::path& folder);
/// The same from text; `where` is what errors call the file.
Result<PolicyConfig> ParseConfig(std::string_view json, std::string_view where);
/// config.json's text, with the keys that transformers reads (`rope_scaling` and `rope_parameters`
/// both).
std::string ConfigJson(const PolicyConfig& config);

}  // namespace aha::policy
