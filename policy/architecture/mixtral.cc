// MixtralForCausalLM: every layer a mixture, softmax over all experts, the chosen weights
// normalised.

#include "policy/architecture/architecture.h"

namespace aha::policy {
namespace {

void Read(KeyReader& keys, PolicyConfig& c) {
  ReadGroupedAttention(keys, c, {});
  ReadSoftmaxExperts(keys, c, {"num_local_experts", "num_experts"});
  c.moe_intermediate_size = c.intermediate_size;
  c.norm_topk_prob = true;
  keys.Require("router_jitter_noise", 0.0);
  RefuseShortWindow(keys, c);
}

void Write(const PolicyConfig& c, Json& j) {
  WriteGroupedAttention(c, j);
  j["num_local_experts"] = c.n_routed_experts;
  j["num_experts_per_tok"] = c.num_experts_per_tok;
  j["sliding_window"] = nullptr;
  j["router_jitter_noise"] = 0.0;
  j["output_router_logits"] = false;
}

}  // namespace

const Architecture kMixtral = {.family = Family::kMixtral,
                               .class_name = "MixtralForCausalLM",
                               .model_type = "mixtral",
                               .max_position_embeddings = 131072,
                               .rms_norm_eps = 1e-5,
                               .rope_theta = 1e6,
                               .experts = "block_sparse_moe",
                               .gate_proj = "w1",
                               .up_proj = "w3",
                               .down_proj = "w2",
                               .expert_count = "num_local_experts",
                               .read = Read,
                               .write = Write};

}  // namespace aha::policy
