// Qwen2ForCausalLM and Qwen2MoeForCausalLM: biases on q, k and v; the mixture has one shared
// network behind a sigmoid gate of its own. Qwen3ForCausalLM and Qwen3MoeForCausalLM: norms over
// query and key heads.

#include "policy/architecture/architecture.h"

namespace aha::policy {
namespace {

void ReadExperts(KeyReader& keys, PolicyConfig& c) {
  ReadSoftmaxExperts(keys, c, {"num_experts", "num_local_experts"});
  c.moe_intermediate_size = keys.Count("moe_intermediate_size", 1, kMostWidth);
  c.norm_topk_prob = keys.Flag("norm_topk_prob", false);
  c.decoder_sparse_step = keys.Count("decoder_sparse_step", 1, 4096, 1);
  c.mlp_only_layers = keys.Counts("mlp_only_layers", 0, 4095);
}

void WriteExperts(const PolicyConfig& c, Json& j) {
  j["num_experts"] = c.n_routed_experts;
  j["num_experts_per_tok"] = c.num_experts_per_tok;
  j["moe_intermediate_size"] = c.moe_intermediate_size;
  j["norm_topk_prob"] = c.norm_topk_prob;
  j["decoder_sparse_step"] = c.decoder_sparse_step;
  j["mlp_only_layers"] = c.mlp_only_layers;
  j["output_router_logits"] = false;
}

void ReadQwen2(KeyReader& keys, PolicyConfig& c) {
  ReadGroupedAttention(keys, c, {});
  c.input_bias = true;
  RefuseSlidingWindow(keys);
}

void WriteQwen(const PolicyConfig& c, Json& j) {
  WriteGroupedAttention(c, j);
  j["use_sliding_window"] = false;
  j["sliding_window"] = nullptr;
}

void ReadQwen2Moe(KeyReader& keys, PolicyConfig& c) {
  ReadQwen2(keys, c);
  c.input_bias = keys.Flag("qkv_bias", true);
  ReadExperts(keys, c);
  c.shared_expert_intermediate_size = keys.Count("shared_expert_intermediate_size", 1, kMostWidth);
  c.shared_expert_gate = true;
}

void WriteQwen2Moe(const PolicyConfig& c, Json& j) {
  WriteQwen(c, j);
  j["qkv_bias"] = c.input_bias;
  WriteExperts(c, j);
  j["shared_expert_intermediate_size"] = c.shared_expert_intermediate_size;
}

void ReadQwen3Attention(KeyReader& keys, PolicyConfig& c) {
  ReadGroupedAttention(keys, c, {});
  c.input_bias = c.output_bias = keys.Flag("attention_bias", false);
  c.qk_norm = true;
  RefuseSlidingWindow(keys);
}

void ReadQwen3(KeyReader& keys, PolicyConfig& c) {
  ReadQwen3Attention(keys, c);
  if (keys.Find("head_dim") == nullptr)
    c.head_dim = 128;  // transformers' default for this class alone
}

void WriteQwen3(const PolicyConfig& c, Json& j) {
  WriteQwen(c, j);
  j["attention_bias"] = c.input_bias;
}

void ReadQwen3Moe(KeyReader& keys, PolicyConfig& c) {
  ReadQwen3Attention(keys, c);
  ReadExperts(keys, c);
}

void WriteQwen3Moe(const PolicyConfig& c, Json& j) {
  WriteQwen3(c, j);
  WriteExperts(c, j);
}

}  // namespace

const Architecture kQwen2 = {.family = Family::kQwen2,
                             .class_name = "Qwen2ForCausalLM",
                             .model_type = "qwen2",
                             .max_position_embeddings = 32768,
                             .rms_norm_eps = 1e-6,
                             .rope_theta = 10000,
                             .read = ReadQwen2,
                             .write = WriteQwen};

const Architecture kQwen2Moe = {.family = Family::kQwen2Moe,
                                .class_name = "Qwen2MoeForCausalLM",
                                .model_type = "qwen2_moe",
                                .max_position_embeddings = 32768,
                                .rms_norm_eps = 1e-6,
                                .rope_theta = 10000,
                                .shared = "shared_expert",
                                .expert_count = "num_experts",
                                .read = ReadQwen2Moe,
                                .write = WriteQwen2Moe};

const Architecture kQwen3 = {.family = Family::kQwen3,
                             .class_name = "Qwen3ForCausalLM",
                             .model_type = "qwen3",
                             .max_position_embeddings = 32768,
                             .rms_norm_eps = 1e-6,
                             .rope_theta = 10000,
                             .read = ReadQwen3,
                             .write = WriteQwen3};

const Architecture kQwen3Moe = {.family = Family::kQwen3Moe,
                                .class_name = "Qwen3MoeForCausalLM",
                                .model_type = "qwen3_moe",
                                .max_position_embeddings = 32768,
                                .rms_norm_eps = 1e-6,
                                .rope_theta = 10000,
                                .expert_count = "num_experts",
                                .read = ReadQwen3Moe,
                                .write = WriteQwen3Moe};

}  // namespace aha::policy
