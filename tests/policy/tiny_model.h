#pragma once
/// The tiny DeepSeek-V3 model whose numbers an independent fp64 forward (and Hugging Face's in fp32)
/// agree on to 1e-6: every tensor is filled from a hash of its name.

#include <cstdint>
#include <string>

#include <ATen/ops/empty.h>
#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>

#include "policy/model/policy.h"

namespace aha::policy {

/// 0.8 u for matrices, 1 + 0.2 u for norms, 0.2 u for other vectors; u in [-0.5, 0.5) from the hash.
inline void HashFill(const std::string& name, const at::Tensor& tensor) {
  std::uint32_t sum = 0;
  for (const char c : name) sum += static_cast<unsigned char>(c);
  const bool norm = name.ends_with("norm.weight");
  at::Tensor values = at::empty(tensor.sizes(), at::kFloat);
  auto* out = values.mutable_data_ptr<float>();
  for (std::int64_t k = 0; k < values.numel(); ++k) {
    std::uint32_t x = static_cast<std::uint32_t>(k + 1) * 2654435761U + 97U * sum;
    x ^= x >> 15U;
    x *= 2246822519U;
    x ^= x >> 13U;
    const double u = static_cast<double>(x) / 4294967296.0 - 0.5;
    out[k] = static_cast<float>(norm ? 1 + 0.2 * u : (tensor.dim() >= 2 ? 0.8 : 0.2) * u);
  }
  const_cast<at::Tensor&>(tensor).copy_(values);
}

inline PolicyConfig TinyConfig() {
  PolicyConfig c;
  c.vocab_size = 16;
  c.hidden_size = 16;
  c.intermediate_size = 24;
  c.moe_intermediate_size = 8;
  c.num_hidden_layers = 2;
  c.num_attention_heads = 2;
  c.q_lora_rank = 12;
  c.kv_lora_rank = 8;
  c.qk_nope_head_dim = 6;
  c.qk_rope_head_dim = 4;
  c.v_head_dim = 5;
  c.n_routed_experts = 8;
  c.n_shared_experts = 1;
  c.num_experts_per_tok = 3;
  c.n_group = 4;
  c.topk_group = 2;
  c.routed_scaling_factor = 2.5;
  c.first_k_dense_replace = 1;
  c.max_position_embeddings = 256;
  c.yarn = YarnScaling{4, 32, 1, 1, 1, 64};
  c.dtype = NumberType::kFp32;
  return c;
}

inline Policy TinyPolicy(const PolicyConfig& config = TinyConfig()) {
  at::set_num_threads(1);  // as the program has it: a kernel runs on one thread
  Policy policy = Policy::Initial(config, KeyedRandom(1, "tiny"));
  for (const NamedTensor& p : policy.parameters()) HashFill(p.name, p.value);
  for (const NamedTensor& b : policy.buffers()) HashFill(b.name, b.value);
  return policy;
}

}  // namespace aha::policy
