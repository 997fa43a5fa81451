#pragma once
/// What sets the families of models apart, told once for each: the keys of config.json that it
/// reads beside the common ones, and the names that its files give to experts. Everything else, the
/// list of tensors and the forward pass, follows from the PolicyConfig that comes out.
///
/// The reference is transformers 5.23; a key that changes the mathematics and is not supported is
/// refused by name.

#include <span>
#include <string_view>

#include "policy/architecture/key_reader.h"
#include "policy/config.h"

namespace aha::policy {

struct Architecture {
  Family family;
  std::string_view class_name;  ///< in "architectures"
  std::string_view model_type;

  // Values of keys that a file leaves out.
  std::int64_t max_position_embeddings;
  double rms_norm_eps;
  double rope_theta;

  // Names below "model.layers.L.".
  std::string_view experts = "mlp";  ///< an MoE layer's network; a dense one is always "mlp"
  std::string_view gate_proj = "gate_proj", up_proj = "up_proj",
                   down_proj = "down_proj";  ///< of a routed expert
  std::string_view shared = "shared_experts";
  std::string_view expert_count = "n_routed_experts";  ///< key that counts routed experts

  /// Reads the family's own keys; the common ones are read before.
  void (*read)(KeyReader& keys, PolicyConfig& config);
  /// Writes them.
  void (*write)(const PolicyConfig& config, Json& json);
};

extern const Architecture kDeepseekV3, kDeepseekV2;              // deepseek.cc
extern const Architecture kLlama;                                // llama.cc
extern const Architecture kQwen2, kQwen2Moe, kQwen3, kQwen3Moe;  // qwen.cc
extern const Architecture kMixtral;                              // mixtral.cc

std::span<const Architecture* const> Architectures();
const Architecture& ArchitectureOf(Family family);

// What several families share.

/// Keys of grouped attention: num_key_value_heads (`kv_heads_absent` as in KeyReader::Count) and
/// head_dim (absent: hidden_size / num_attention_heads).
void ReadGroupedAttention(KeyReader& keys,
                          PolicyConfig& config,
                          std::optional<std::int64_t> kv_heads_absent);
void WriteGroupedAttention(const PolicyConfig& config, Json& json);
/// Refuses attention that does not see the whole context: `use_sliding_window`, `layer_types`.
void RefuseSlidingWindow(KeyReader& keys);
/// Refuses a `sliding_window` shorter than max_position_embeddings; a longer one hides nothing.
void RefuseShortWindow(KeyReader& keys, const PolicyConfig& config);
/// Refuses keys of families that are not here when their value changes what is computed.
void RefuseForeignKeys(KeyReader& keys);
/// Width, number and choice of softmax-routed experts under `count_keys`, the first one found.
void ReadSoftmaxExperts(KeyReader& keys,
                        PolicyConfig& config,
                        std::initializer_list<const char*> count_keys);

/// `rope_scaling` and `rope_parameters`, and back.
void ReadRope(KeyReader& keys, double default_theta, PolicyConfig& config);
void WriteRope(const PolicyConfig& config, Json& json);

inline constexpr std::int64_t kMostExperts = 65536;
inline constexpr std::int64_t kMostWidth = std::int64_t{1} << 24U;
inline constexpr std::int64_t kMostPositions = std::int64_t{1} << 31U;

}  // namespace aha::policy
