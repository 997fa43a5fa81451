#pragma once
/// The tiny DeepSeek-V3 model whose numbers an independent fp64 forward (and Hugging Face's in
/// fp32) agree on to 1e-6, and tiny models of any config: every tensor is filled from a hash of its
/// name.

#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "policy/model/weights.h"

namespace aha::policy {

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

/// 0.8 u for matrices, 1 + 0.2 u for norms, 0.2 u for other vectors; u in [-0.5, 0.5) from the
/// hash.
inline std::vector<float> HashNumbers(const TensorSpec& spec) {
  std::uint32_t sum = 0;
  for (const char c : spec.name)
    sum += static_cast<unsigned char>(c);
  const bool norm = spec.name.ends_with("norm.weight");
  std::vector<float> out(static_cast<std::size_t>(spec.numbers()));
  for (std::size_t k = 0; k < out.size(); ++k) {
    std::uint32_t x = static_cast<std::uint32_t>(k + 1) * 2654435761U + 97U * sum;
    x ^= x >> 15U;
    x *= 2246822519U;
    x ^= x >> 13U;
    const double u = static_cast<double>(x) / 4294967296.0 - 0.5;
    out[k] = static_cast<float>(norm ? 1 + 0.2 * u : (spec.shape.size() >= 2 ? 0.8 : 0.2) * u);
  }
  return out;
}

inline Weights TinyWeights(const PolicyConfig& config = TinyConfig(),
                           WeightsUse use = WeightsUse::kTraining) {
  Weights weights(config, use);
  for (std::size_t t = 0; t < weights.tensors().size(); ++t) {
    const Weights::Tensor& tensor = weights.tensors()[t];
    const std::vector<float> numbers = HashNumbers(tensor.spec);
    weights.Write(t, 0, cpu::Rows<const float>(numbers.data(), tensor.rows, tensor.columns));
  }
  return weights;
}

inline std::vector<float> NumbersOf(const Weights& weights, std::size_t index) {
  const Weights::Tensor& tensor = weights.tensors()[index];
  std::vector<float> numbers(tensor.numbers());
  weights.Read(index, 0, cpu::Rows<float>(numbers.data(), tensor.rows, tensor.columns));
  return numbers;
}
inline std::vector<float> NumbersOf(const Weights& weights, const std::string& name) {
  return NumbersOf(weights, weights.IndexOf(name).value());
}
inline void SetNumbers(Weights& weights,
                       const std::string& name,
                       const std::vector<float>& numbers) {
  const std::size_t index = weights.IndexOf(name).value();
  const Weights::Tensor& tensor = weights.tensors()[index];
  weights.Write(index, 0, cpu::Rows<const float>(numbers.data(), tensor.rows, tensor.columns));
}

/// Names of tensors that differ in a bit.
inline std::vector<std::string> Differing(const Weights& a, const Weights& b) {
  std::vector<std::string> names;
  for (std::size_t t = 0; t < a.tensors().size(); ++t) {
    const std::vector<float> x = NumbersOf(a, t), y = NumbersOf(b, t);
    if (x.size() != y.size() || std::memcmp(x.data(), y.data(), x.size() * sizeof(float)) != 0)
      names.push_back(a.tensors()[t].spec.name);
  }
  return names;
}

}  // namespace aha::policy
