// Making and copying a policy's weights. What there is, and its names, say TensorsOf.

#include <ATen/ops/empty.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>
#include <c10/core/GradMode.h>

#include "policy/reference/policy.h"

namespace aha::policy::reference {
namespace {

at::Tensor Allocate(const TensorSpec& spec, const PolicyConfig& config, at::Device device) {
  const bool half = config.dtype == NumberType::kBf16 && spec.role != TensorRole::kSelectionBias;
  const at::TensorOptions options =
      at::TensorOptions(half ? at::kBFloat16 : at::kFloat).device(device);
  return spec.role == TensorRole::kNorm ? at::ones(spec.shape, options)
                                        : at::zeros(spec.shape, options);
}

// Where a part of a block goes: a matrix, or a vector (a norm, or the matrix's bias).
struct Place {
  kernels::PackedMatrix* matrix = nullptr;
  at::Tensor* vector = nullptr;
};

Place PlaceInAttention(AttentionWeights& w, Part part) {
  switch (part) {
    case Part::kQ:
      return {&w.q_proj, &w.q_bias};
    case Part::kQA:
      return {&w.q_a_proj, &w.q_a_bias};
    case Part::kQANorm:
      return {nullptr, &w.q_a_layernorm};
    case Part::kQB:
      return {&w.q_b_proj};
    case Part::kKvA:
      return {&w.kv_a_proj, &w.kv_a_bias};
    case Part::kKvANorm:
      return {nullptr, &w.kv_a_layernorm};
    case Part::kKvB:
      return {&w.kv_b_proj};
    case Part::kK:
      return {&w.k_proj, &w.k_bias};
    case Part::kV:
      return {&w.v_proj, &w.v_bias};
    case Part::kO:
      return {&w.o_proj, &w.o_bias};
    case Part::kQNorm:
      return {nullptr, &w.q_norm};
    case Part::kKNorm:
      return {nullptr, &w.k_norm};
    default:
      return {};
  }
}

Place PlaceInBlock(BlockWeights& w, const TensorSpec& spec) {
  kernels::ExpertWeights* const expert =
      spec.expert < 0 ? nullptr : &w.experts[static_cast<std::size_t>(spec.expert)];
  switch (spec.part) {
    case Part::kInputNorm:
      return {nullptr, &w.input_norm};
    case Part::kPostAttentionNorm:
      return {nullptr, &w.post_attention_norm};
    case Part::kMlpGate:
      return {&w.mlp.gate, &w.mlp.gate_bias};
    case Part::kMlpUp:
      return {&w.mlp.up, &w.mlp.up_bias};
    case Part::kMlpDown:
      return {&w.mlp.down, &w.mlp.down_bias};
    case Part::kSharedGate:
      return {&w.shared.gate, &w.shared.gate_bias};
    case Part::kSharedUp:
      return {&w.shared.up, &w.shared.up_bias};
    case Part::kSharedDown:
      return {&w.shared.down, &w.shared.down_bias};
    case Part::kExpertGate:
      return {&expert->gate, &expert->gate_bias};
    case Part::kExpertUp:
      return {&expert->up, &expert->up_bias};
    case Part::kExpertDown:
      return {&expert->down, &expert->down_bias};
    case Part::kSharedSwitch:
      return {&w.shared_switch};
    case Part::kRouter:
      return {&w.gate};
    case Part::kSelectionBias:
      return {nullptr, &w.gate_bias};
    default:
      return PlaceInAttention(w.attention, spec.part);
  }
}

}  // namespace

Policy::Policy(const PolicyConfig& config, at::Device device) : config_(config) {
  blocks_.resize(static_cast<std::size_t>(config.num_hidden_layers));
  for (std::int64_t l = 0; l < config.num_hidden_layers; ++l) {
    blocks_[static_cast<std::size_t>(l)].dense = config.dense_layer(l);
  }
  if (config.num_nextn_predict_layers > 0) mtp_.emplace();
  for (BlockWeights& block : blocks_) {
    if (!block.dense) block.experts.resize(static_cast<std::size_t>(config.n_routed_experts));
  }
  if (mtp_) mtp_->block.experts.resize(static_cast<std::size_t>(config.n_routed_experts));
  for (const TensorSpec& spec : TensorsOf(config)) {
    if (spec.copy()) continue;
    std::vector<NamedTensor>& list = spec.trainable ? parameters_ : buffers_;
    Bind(spec, list.emplace_back(NamedTensor{spec.name, Allocate(spec, config, device)}).value);
  }
}

void Policy::Bind(const TensorSpec& spec, const at::Tensor& value) {
  Place place;
  switch (spec.part) {
    case Part::kEmbedding:
      place = {&embedding_};
      break;
    case Part::kHead:
      place = {&head_};
      break;
    case Part::kFinalNorm:
      place = {nullptr, &final_norm_};
      break;
    case Part::kMtpEmbeddingNorm:
      place = {nullptr, &mtp_->embedding_norm};
      break;
    case Part::kMtpHiddenNorm:
      place = {nullptr, &mtp_->hidden_norm};
      break;
    case Part::kMtpProjection:
      place = {&mtp_->projection};
      break;
    case Part::kMtpFinalNorm:
      place = {nullptr, &mtp_->final_norm};
      break;
    default:
      place = PlaceInBlock(spec.layer == config_.num_hidden_layers
                               ? mtp_->block
                               : blocks_[static_cast<std::size_t>(spec.layer)],
                           spec);
  }
  if (spec.role == TensorRole::kMatrix) {
    *place.matrix = kernels::PackedMatrix(value);
  } else {
    *place.vector = value;
  }
}

Policy Policy::Initial(const PolicyConfig& config, KeyedRandom random) {
  Policy policy(config);
  std::uint64_t index = 0;
  for (const NamedTensor& parameter : policy.parameters_) {
    const KeyedRandom draws = random.With(index++);
    if (parameter.value.dim() < 2) continue;  // norms start at one, biases at zero
    at::Tensor values = at::empty(parameter.value.sizes(), at::kFloat);
    auto* data = values.mutable_data_ptr<float>();
    for (std::int64_t i = 0; i < values.numel(); ++i) {
      data[i] = static_cast<float>(config.initializer_range *
                                   draws.Normal(static_cast<std::uint64_t>(i)));
    }
    parameter.value.copy_(values);
  }
  return policy;
}

Policy Policy::Of(const Weights& weights, at::Device device) {
  Policy policy(weights.config(), device);
  for (const auto* list : {&policy.parameters_, &policy.buffers_}) {
    for (const NamedTensor& tensor : *list) {
      const std::size_t t = weights.IndexOf(tensor.name).value();
      const Weights::Tensor& from = weights.tensors()[t];
      at::Tensor values = at::empty(tensor.value.sizes(), at::kFloat);
      weights.Read(t, 0,
                   cpu::Rows<float>(values.mutable_data_ptr<float>(), from.rows, from.columns));
      const_cast<at::Tensor&>(tensor.value).copy_(values);
    }
  }
  return policy;
}

std::vector<at::Tensor> Policy::gate_biases() const {
  std::vector<at::Tensor> biases;
  for (const NamedTensor& buffer : buffers_)
    biases.push_back(buffer.value);
  return biases;
}

void Policy::RequireGrad(bool on) {
  for (NamedTensor& parameter : parameters_)
    parameter.value.set_requires_grad(on);
}

Policy Policy::Clone() const {
  Policy copy(config_);
  copy.CopyFrom(*this);
  return copy;
}

Policy Policy::Alias() const {
  Policy alias(config_);
  for (std::size_t i = 0; i < parameters_.size(); ++i)
    alias.parameters_[i].value.set_data(parameters_[i].value.detach());
  for (std::size_t i = 0; i < buffers_.size(); ++i)
    alias.buffers_[i].value.set_data(buffers_[i].value);
  return alias;
}

void Policy::CopyFrom(const Policy& source) {
  const at::NoGradGuard no_grad;
  for (std::size_t i = 0; i < parameters_.size(); ++i)
    parameters_[i].value.copy_(source.parameters_[i].value);
  for (std::size_t i = 0; i < buffers_.size(); ++i)
    buffers_[i].value.copy_(source.buffers_[i].value);
}

}  // namespace aha::policy::reference
