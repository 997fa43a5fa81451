// Making, naming and copying a policy's weights. Names are those of DeepseekV3ForCausalLM's files.

#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>
#include <c10/core/GradMode.h>

#include "policy/model/policy.h"

namespace aha::policy {
namespace {

at::ScalarType TypeOf(const PolicyConfig& config) {
  return config.dtype == NumberType::kBf16 ? at::kBFloat16 : at::kFloat;
}

}  // namespace

Policy::Policy(const PolicyConfig& config) : config_(config) { Build(); }

at::Tensor Policy::AddMatrix(const std::string& name, std::int64_t rows, std::int64_t columns) {
  return parameters_.emplace_back(NamedTensor{name, at::zeros({rows, columns}, TypeOf(config_))}).value;
}

at::Tensor Policy::AddNorm(const std::string& name, std::int64_t size) {
  return parameters_.emplace_back(NamedTensor{name, at::ones({size}, TypeOf(config_))}).value;
}

BlockWeights Policy::BuildBlock(const std::string& prefix, bool dense) {
  const PolicyConfig& c = config_;
  const auto matrix = [&](const std::string& name, std::int64_t rows, std::int64_t columns) {
    return kernels::PackedMatrix(AddMatrix(prefix + name + ".weight", rows, columns));
  };
  const auto norm = [&](const std::string& name, std::int64_t size) { return AddNorm(prefix + name + ".weight", size); };
  const auto expert = [&](const std::string& name, std::int64_t width) {
    return kernels::ExpertWeights{matrix(name + ".gate_proj", width, c.hidden_size),
                                  matrix(name + ".up_proj", width, c.hidden_size),
                                  matrix(name + ".down_proj", c.hidden_size, width)};
  };
  BlockWeights w;
  w.input_norm = norm("input_layernorm", c.hidden_size);
  w.post_attention_norm = norm("post_attention_layernorm", c.hidden_size);
  const std::int64_t query_width = c.num_attention_heads * c.qk_head_dim();
  if (c.q_lora_rank > 0) {
    w.attention.q_a_proj = matrix("self_attn.q_a_proj", c.q_lora_rank, c.hidden_size);
    w.attention.q_a_layernorm = norm("self_attn.q_a_layernorm", c.q_lora_rank);
    w.attention.q_b_proj = matrix("self_attn.q_b_proj", query_width, c.q_lora_rank);
  } else {
    w.attention.q_proj = matrix("self_attn.q_proj", query_width, c.hidden_size);
  }
  w.attention.kv_a_proj = matrix("self_attn.kv_a_proj_with_mqa", c.kv_width(), c.hidden_size);
  w.attention.kv_a_layernorm = norm("self_attn.kv_a_layernorm", c.kv_lora_rank);
  w.attention.kv_b_proj = matrix("self_attn.kv_b_proj", c.num_attention_heads * (c.qk_nope_head_dim + c.v_head_dim), c.kv_lora_rank);
  w.attention.o_proj = matrix("self_attn.o_proj", c.hidden_size, c.num_attention_heads * c.v_head_dim);
  w.dense = dense;
  if (dense) {
    w.mlp = expert("mlp", c.intermediate_size);
    return w;
  }
  w.gate = matrix("mlp.gate", c.n_routed_experts, c.hidden_size);
  w.gate_bias = buffers_.emplace_back(NamedTensor{prefix + "mlp.gate.e_score_correction_bias",
                                                  at::zeros({c.n_routed_experts}, at::kFloat)}).value;
  for (std::int64_t e = 0; e < c.n_routed_experts; ++e) {
    w.experts.push_back(expert(fmt::format("mlp.experts.{}", e), c.moe_intermediate_size));
  }
  if (c.n_shared_experts > 0) w.shared = expert("mlp.shared_experts", c.moe_intermediate_size * c.n_shared_experts);
  return w;
}

void Policy::Build() {
  const PolicyConfig& c = config_;
  embedding_ = kernels::PackedMatrix(AddMatrix("model.embed_tokens.weight", c.vocab_size, c.hidden_size));
  for (std::int64_t l = 0; l < c.num_hidden_layers; ++l) {
    blocks_.push_back(BuildBlock(fmt::format("model.layers.{}.", l), c.dense_layer(l)));
  }
  final_norm_ = AddNorm("model.norm.weight", c.hidden_size);
  if (!c.tie_word_embeddings) head_ = kernels::PackedMatrix(AddMatrix("lm_head.weight", c.vocab_size, c.hidden_size));
  if (c.num_nextn_predict_layers > 0) {
    const std::string prefix = fmt::format("model.layers.{}.", c.num_hidden_layers);
    MtpWeights m;
    m.embedding_norm = AddNorm(prefix + "enorm.weight", c.hidden_size);
    m.hidden_norm = AddNorm(prefix + "hnorm.weight", c.hidden_size);
    m.projection = kernels::PackedMatrix(AddMatrix(prefix + "eh_proj.weight", c.hidden_size, 2 * c.hidden_size));
    m.block = BuildBlock(prefix, /*dense=*/false);
    m.final_norm = AddNorm(prefix + "shared_head.norm.weight", c.hidden_size);
    mtp_ = std::move(m);
  }
  std::tie(cos_PD_, sin_PD_) = RopeTables(c, c.max_position_embeddings);
}

Policy Policy::Initial(const PolicyConfig& config, KeyedRandom random) {
  Policy policy(config);
  std::uint64_t index = 0;
  for (const NamedTensor& parameter : policy.parameters_) {
    const KeyedRandom draws = random.With(index++);
    if (parameter.value.dim() < 2) continue;  // norms start at one
    at::Tensor values = at::empty(parameter.value.sizes(), at::kFloat);
    auto* data = values.mutable_data_ptr<float>();
    for (std::int64_t i = 0; i < values.numel(); ++i) {
      data[i] = static_cast<float>(config.initializer_range * draws.Normal(static_cast<std::uint64_t>(i)));
    }
    parameter.value.copy_(values);
  }
  return policy;
}

std::vector<at::Tensor> Policy::gate_biases() const {
  std::vector<at::Tensor> biases;
  for (const NamedTensor& buffer : buffers_) biases.push_back(buffer.value);
  return biases;
}

void Policy::RequireGrad(bool on) {
  for (NamedTensor& parameter : parameters_) parameter.value.set_requires_grad(on);
}

Policy Policy::Clone() const {
  Policy copy(config_);
  copy.CopyFrom(*this);
  return copy;
}

Policy Policy::Alias() const {
  Policy alias(config_);
  for (std::size_t i = 0; i < parameters_.size(); ++i) alias.parameters_[i].value.set_data(parameters_[i].value.detach());
  for (std::size_t i = 0; i < buffers_.size(); ++i) alias.buffers_[i].value.set_data(buffers_[i].value);
  return alias;
}

void Policy::CopyFrom(const Policy& source) {
  const at::NoGradGuard no_grad;
  for (std::size_t i = 0; i < parameters_.size(); ++i) parameters_[i].value.copy_(source.parameters_[i].value);
  for (std::size_t i = 0; i < buffers_.size(); ++i) buffers_[i].value.copy_(source.buffers_[i].value);
}

}  // namespace aha::policy
