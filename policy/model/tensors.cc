#include "policy/model/tensors.h"

#include "policy/architecture/architecture.h"

namespace aha::policy {
namespace {

using Shape = std::vector<std::int64_t>;

class TensorList {
 public:
  explicit TensorList(const PolicyConfig& config) : c_(config), a_(ArchitectureOf(config.family)) {}

  std::vector<TensorSpec> Make() {
    Matrix("model.embed_tokens", Part::kEmbedding, c_.vocab_size, c_.hidden_size);
    for (layer_ = 0; layer_ < c_.num_hidden_layers; ++layer_) {
      prefix_ = fmt::format("model.layers.{}.", layer_);
      Block(c_.dense_layer(layer_));
    }
    layer_ = -1;
    prefix_.clear();
    Norm("model.norm", Part::kFinalNorm, c_.hidden_size);
    if (!c_.tie_word_embeddings) Matrix("lm_head", Part::kHead, c_.vocab_size, c_.hidden_size);
    if (c_.num_nextn_predict_layers > 0) Mtp();
    return std::move(list_);
  }

 private:
  void Add(std::string name, Shape shape, TensorRole role, Part part) {
    TensorSpec spec;
    spec.name = prefix_ + std::move(name);
    spec.shape = std::move(shape);
    spec.role = role;
    spec.part = part;
    spec.trainable = role != TensorRole::kSelectionBias;
    spec.layer = layer_;
    spec.expert = expert_;
    list_.push_back(std::move(spec));
  }
  void Matrix(const std::string& name,
              Part part,
              std::int64_t rows,
              std::int64_t columns,
              bool bias = false) {
    Add(name + ".weight", {rows, columns}, TensorRole::kMatrix, part);
    if (bias) Add(name + ".bias", {rows}, TensorRole::kBias, part);
  }
  void Norm(const std::string& name, Part part, std::int64_t size) {
    Add(name + ".weight", {size}, TensorRole::kNorm, part);
  }

  void LatentAttention() {
    const std::int64_t heads = c_.num_attention_heads;
    if (c_.q_lora_rank > 0) {
      Matrix("self_attn.q_a_proj", Part::kQA, c_.q_lora_rank, c_.hidden_size, c_.input_bias);
      Norm("self_attn.q_a_layernorm", Part::kQANorm, c_.q_lora_rank);
      Matrix("self_attn.q_b_proj", Part::kQB, heads * c_.qk_head_dim(), c_.q_lora_rank);
    } else {
      Matrix("self_attn.q_proj", Part::kQ, heads * c_.qk_head_dim(), c_.hidden_size);
    }
    Matrix("self_attn.kv_a_proj_with_mqa", Part::kKvA, c_.kv_width(), c_.hidden_size,
           c_.input_bias);
    Norm("self_attn.kv_a_layernorm", Part::kKvANorm, c_.kv_lora_rank);
    Matrix("self_attn.kv_b_proj", Part::kKvB, heads * (c_.qk_nope_head_dim + c_.v_head_dim),
           c_.kv_lora_rank);
    Matrix("self_attn.o_proj", Part::kO, c_.hidden_size, heads * c_.v_head_dim, c_.output_bias);
  }
  void GroupedAttention() {
    const std::int64_t query = c_.num_attention_heads * c_.head_dim;
    const std::int64_t key = c_.num_key_value_heads * c_.head_dim;
    Matrix("self_attn.q_proj", Part::kQ, query, c_.hidden_size, c_.input_bias);
    Matrix("self_attn.k_proj", Part::kK, key, c_.hidden_size, c_.input_bias);
    Matrix("self_attn.v_proj", Part::kV, key, c_.hidden_size, c_.input_bias);
    Matrix("self_attn.o_proj", Part::kO, c_.hidden_size, query, c_.output_bias);
    if (!c_.qk_norm) return;
    Norm("self_attn.q_norm", Part::kQNorm, c_.head_dim);
    Norm("self_attn.k_norm", Part::kKNorm, c_.head_dim);
  }
  void Network(const std::string& name, Part gate, Part up, Part down, std::int64_t width) {
    Matrix(name + ".gate_proj", gate, width, c_.hidden_size, c_.mlp_bias);
    Matrix(name + ".up_proj", up, width, c_.hidden_size, c_.mlp_bias);
    Matrix(name + ".down_proj", down, c_.hidden_size, width, c_.mlp_bias);
  }
  void Experts() {
    const std::string base(a_.experts);
    Matrix(base + ".gate", Part::kRouter, c_.n_routed_experts, c_.hidden_size);
    if (c_.selection_bias) {
      Add(base + ".gate.e_score_correction_bias", {c_.n_routed_experts}, TensorRole::kSelectionBias,
          Part::kSelectionBias);
    }
    for (expert_ = 0; expert_ < c_.n_routed_experts; ++expert_) {
      const std::string expert = fmt::format("{}.experts.{}.", base, expert_);
      Matrix(expert + std::string(a_.gate_proj), Part::kExpertGate, c_.moe_intermediate_size,
             c_.hidden_size);
      Matrix(expert + std::string(a_.up_proj), Part::kExpertUp, c_.moe_intermediate_size,
             c_.hidden_size);
      Matrix(expert + std::string(a_.down_proj), Part::kExpertDown, c_.hidden_size,
             c_.moe_intermediate_size);
    }
    expert_ = -1;
    if (c_.shared_width() == 0) return;
    const std::string shared = base + "." + std::string(a_.shared);
    Network(shared, Part::kSharedGate, Part::kSharedUp, Part::kSharedDown, c_.shared_width());
    if (c_.shared_expert_gate) Matrix(shared + "_gate", Part::kSharedSwitch, 1, c_.hidden_size);
  }
  void Block(bool dense) {
    Norm("input_layernorm", Part::kInputNorm, c_.hidden_size);
    Norm("post_attention_layernorm", Part::kPostAttentionNorm, c_.hidden_size);
    if (c_.attention == AttentionKind::kLatent) {
      LatentAttention();
    } else {
      GroupedAttention();
    }
    if (dense) {
      Network("mlp", Part::kMlpGate, Part::kMlpUp, Part::kMlpDown, c_.intermediate_size);
    } else {
      Experts();
    }
  }
  void Mtp() {
    layer_ = c_.num_hidden_layers;
    prefix_ = MtpPrefix(c_);
    Norm("enorm", Part::kMtpEmbeddingNorm, c_.hidden_size);
    Norm("hnorm", Part::kMtpHiddenNorm, c_.hidden_size);
    Matrix("eh_proj", Part::kMtpProjection, c_.hidden_size, 2 * c_.hidden_size);
    Block(/*dense=*/false);
    Norm("shared_head.norm", Part::kMtpFinalNorm, c_.hidden_size);
    Matrix("embed_tokens", Part::kEmbedding, c_.vocab_size, c_.hidden_size);
    list_.back().copy_of = "model.embed_tokens.weight";
    Matrix("shared_head.head", Part::kHead, c_.vocab_size, c_.hidden_size);
    list_.back().copy_of = c_.tie_word_embeddings ? "model.embed_tokens.weight" : "lm_head.weight";
  }

  const PolicyConfig& c_;
  const Architecture& a_;
  std::vector<TensorSpec> list_;
  std::string prefix_;
  std::int64_t layer_ = -1;
  std::int64_t expert_ = -1;
};

}  // namespace

std::int64_t TensorSpec::numbers() const {
  std::int64_t numbers = 1;
  for (const std::int64_t size : shape)
    numbers *= size;
  return numbers;
}

std::vector<TensorSpec> TensorsOf(const PolicyConfig& config) {
  return TensorList(config).Make();
}

std::string MtpPrefix(const PolicyConfig& config) {
  return fmt::format("model.layers.{}.", config.num_hidden_layers);
}

ParameterCount CountParameters(const PolicyConfig& config) {
  ParameterCount count;
  for (const TensorSpec& spec : TensorsOf(config)) {
    if (spec.copy()) continue;
    const std::int64_t numbers = spec.numbers();
    if (spec.layer == config.num_hidden_layers) {
      count.mtp += numbers;
      continue;
    }
    count.total += numbers;
    // A token meets so many experts, all of one size.
    if (spec.expert < config.num_experts_per_tok) count.active += numbers;
  }
  return count;
}

}  // namespace aha::policy
