// LlamaForCausalLM: grouped attention, biases on request, rotation by halves.

#include "policy/architecture/architecture.h"

namespace aha::policy {
namespace {

void Read(KeyReader& keys, PolicyConfig& c) {
  ReadGroupedAttention(keys, c, c.num_attention_heads);
  c.input_bias = c.output_bias = keys.Flag("attention_bias", false);
  c.mlp_bias = keys.Flag("mlp_bias", false);
  RefuseSlidingWindow(keys);
  // The class has no window; a file that names one was made for a class that has.
  if (keys.Find("use_sliding_window") == nullptr) RefuseShortWindow(keys, c);
}

void Write(const PolicyConfig& c, Json& j) {
  WriteGroupedAttention(c, j);
  j["attention_bias"] = c.input_bias;
  j["mlp_bias"] = c.mlp_bias;
}

}  // namespace

const Architecture kLlama = {.family = Family::kLlama,
                             .class_name = "LlamaForCausalLM",
                             .model_type = "llama",
                             .max_position_embeddings = 2048,
                             .rms_norm_eps = 1e-6,
                             .rope_theta = 10000,
                             .read = Read,
                             .write = Write};

}  // namespace aha::policy
