// DeepseekV3ForCausalLM (arXiv:2412.19437, section 2): latent attention, sigmoid router whose choice a bias
// balances, shared experts, one module for multi-token prediction. DeepseekV2ForCausalLM (arXiv:2405.04434): softmax router,
// groups ranked by their best expert, weights never normalised.

#include "policy/architecture/architecture.h"

namespace aha::policy {
namespace {

void ReadLatentAttention(KeyReader& keys, PolicyConfig& c) {
  c.attention = AttentionKind::kLatent;
  c.q_lora_rank = keys.Count("q_lora_rank", 0, 1 << 20, 0);
  c.kv_lora_rank = keys.Count("kv_lora_rank", 1, 1 << 20);
  c.qk_nope_head_dim = keys.Count("qk_nope_head_dim", 1, 65536);
  c.qk_rope_head_dim = keys.Count("qk_rope_head_dim", 2, 65536);
  c.v_head_dim = keys.Count("v_head_dim", 1, 65536);
  c.input_bias = c.output_bias = keys.Flag("attention_bias", false);
  c.num_key_value_heads = keys.Count("num_key_value_heads", c.num_attention_heads,
                                     c.num_attention_heads, c.num_attention_heads);
  if (c.qk_rope_head_dim % 2 != 0) keys.Refuse("qk_rope_head_dim", "must be even");
}

void ReadExperts(KeyReader& keys, PolicyConfig& c) {
  c.first_k_dense_replace = keys.Count("first_k_dense_replace", 0, 4096, 0);
  c.moe_layer_freq = keys.Count("moe_layer_freq", 1, 4096, 1);
  c.moe_intermediate_size = keys.Count("moe_intermediate_size", 1, kMostWidth);
  c.n_routed_experts = keys.Count("n_routed_experts", 1, kMostExperts);
  c.n_shared_experts = keys.Count("n_shared_experts", 0, 1024, 0);
  c.num_experts_per_tok = keys.Count("num_experts_per_tok", 1, c.n_routed_experts);
  c.routed_scaling_factor = keys.Number("routed_scaling_factor", 0, 1e6, 1.0);
}

void ReadGroups(KeyReader& keys, PolicyConfig& c) {
  c.n_group = keys.Count("n_group", 1, c.n_routed_experts, 1);
  c.topk_group = keys.Count("topk_group", 1, c.n_group, 1);
  if (c.n_routed_experts % c.n_group != 0)
    keys.Refuse("n_routed_experts", "must be a multiple of n_group");
  // A group's score is the sum of that many experts (V3, section 2.1.2: two).
  if (c.n_group > 1 && c.n_routed_experts / c.n_group < c.group_score_experts) {
    keys.Refuse("n_group", "leaves fewer than two experts in a group");
  }
  if (c.num_experts_per_tok > c.n_routed_experts / c.n_group * c.topk_group) {
    keys.Refuse("num_experts_per_tok", "is more than the kept groups hold");
  }
}

void WriteShared(const PolicyConfig& c, Json& j) {
  j["num_key_value_heads"] = c.num_attention_heads;
  j["q_lora_rank"] = c.q_lora_rank > 0 ? Json(c.q_lora_rank) : Json(nullptr);
  j["kv_lora_rank"] = c.kv_lora_rank;
  j["qk_nope_head_dim"] = c.qk_nope_head_dim;
  j["qk_rope_head_dim"] = c.qk_rope_head_dim;
  j["v_head_dim"] = c.v_head_dim;
  j["attention_bias"] = c.input_bias;
  j["first_k_dense_replace"] = c.first_k_dense_replace;
  j["moe_layer_freq"] = c.moe_layer_freq;
  j["moe_intermediate_size"] = c.moe_intermediate_size;
  j["n_routed_experts"] = c.n_routed_experts;
  j["n_shared_experts"] = c.n_shared_experts;
  j["num_experts_per_tok"] = c.num_experts_per_tok;
  j["n_group"] = c.n_group;
  j["topk_group"] = c.topk_group;
  j["norm_topk_prob"] = c.norm_topk_prob;
  j["routed_scaling_factor"] = c.routed_scaling_factor;
}

void ReadV3(KeyReader& keys, PolicyConfig& c) {
  ReadLatentAttention(keys, c);
  ReadExperts(keys, c);
  ReadGroups(keys, c);
  c.rope_interleave = keys.Flag("rope_interleave", true);
  c.num_nextn_predict_layers = keys.Count("num_nextn_predict_layers", 0, 1, 0);
  c.norm_topk_prob = keys.Flag("norm_topk_prob", true);
  keys.Require("topk_method", "noaux_tc");
  keys.Require("scoring_func", "sigmoid");
}

void WriteV3(const PolicyConfig& c, Json& j) {
  WriteShared(c, j);
  j["topk_method"] = "noaux_tc";
  j["scoring_func"] = "sigmoid";
  j["num_nextn_predict_layers"] = c.num_nextn_predict_layers;
  j["rope_interleave"] = c.rope_interleave;
}

void ReadV2(KeyReader& keys, PolicyConfig& c) {
  ReadLatentAttention(keys, c);
  ReadExperts(keys, c);
  c.rope_interleave = true;
  c.scoring = Scoring::kSoftmax;
  c.selection_bias = false;
  c.group_score_experts = 1;
  c.norm_topk_prob = false;
  c.mlp_bias = keys.Flag("mlp_bias", false);
  keys.Require("scoring_func", "softmax");
  // transformers never normalises, DeepSeek's own code would: no released model asks for it.
  keys.Require("norm_topk_prob", false);
  const std::string method = keys.Text("topk_method", "greedy");
  if (method == "group_limited_greedy") {
    ReadGroups(keys, c);
  } else if (method != "greedy") {
    keys.Refuse(
        "topk_method",
        fmt::format("is \"{}\"; only greedy and group_limited_greedy are supported", method));
  }
}

void WriteV2(const PolicyConfig& c, Json& j) {
  WriteShared(c, j);
  j["topk_method"] = c.n_group > 1 ? "group_limited_greedy" : "greedy";
  j["scoring_func"] = "softmax";
  j["mlp_bias"] = c.mlp_bias;
}

}  // namespace

const Architecture kDeepseekV3 = {.family = Family::kDeepseekV3,
                                  .class_name = "DeepseekV3ForCausalLM",
                                  .model_type = "deepseek_v3",
                                  .max_position_embeddings = 4096,
                                  .rms_norm_eps = 1e-6,
                                  .rope_theta = 10000,
                                  .read = ReadV3,
                                  .write = WriteV3};

const Architecture kDeepseekV2 = {.family = Family::kDeepseekV2,
                                  .class_name = "DeepseekV2ForCausalLM",
                                  .model_type = "deepseek_v2",
                                  .max_position_embeddings = 2048,
                                  .rms_norm_eps = 1e-6,
                                  .rope_theta = 10000,
                                  .read = ReadV2,
                                  .write = WriteV2};

}  // namespace aha::policy
