#include "policy/model/weight_places.h"

namespace aha::policy {
namespace {

using cpu::NumberKind;
using cpu::PackedGateUp;
using Half = PackedGateUp::Half;

std::size_t Size(std::int64_t n) {
  return static_cast<std::size_t>(n);
}

PackedLinear MakeLinear(std::size_t n,
                        std::size_t k,
                        NumberKind kind,
                        bool transposed,
                        bool bias = false) {
  PackedLinear linear;
  linear.matrix = cpu::PackedMatrix(n, k, kind);
  if (transposed) linear.transposed = cpu::PackedMatrix(k, n, kind);
  if (bias) linear.bias.assign(n, 0.0F);
  return linear;
}

PackedNetwork MakeNetwork(std::size_t width,
                          std::size_t hidden,
                          NumberKind kind,
                          bool training,
                          bool bias) {
  PackedNetwork network;
  network.gate_up = PackedGateUp(width, hidden, kind);
  const std::size_t rows = network.gate_up.both().n();
  if (training) network.gate_up_transposed = cpu::PackedMatrix(hidden, rows, kind);
  if (bias) network.gate_up_bias.assign(rows, 0.0F);
  network.down = MakeLinear(hidden, width, kind, training, bias);
  return network;
}

std::vector<const cpu::PackedMatrix*> Pointers(const std::vector<cpu::PackedMatrix>& matrices) {
  std::vector<const cpu::PackedMatrix*> pointers;
  for (const cpu::PackedMatrix& matrix : matrices)
    pointers.push_back(&matrix);
  return pointers;
}

PackedLatentHeads MakeLatentHeads(const PolicyConfig& c, NumberKind kind, bool training) {
  const std::size_t nope = Size(c.qk_nope_head_dim);
  const std::size_t value = Size(c.v_head_dim);
  const std::size_t rank = Size(c.kv_lora_rank);
  PackedLatentHeads heads;
  for (std::int64_t a = 0; a < c.num_attention_heads; ++a) {
    heads.key_up.emplace_back(rank, nope, kind);
    heads.value.emplace_back(value, rank, kind);
    if (!training) continue;
    heads.key_down.emplace_back(nope, rank, kind);
    heads.value_up.emplace_back(rank, value, kind);
  }
  heads.key_up_A = Pointers(heads.key_up);
  heads.key_down_A = Pointers(heads.key_down);
  heads.value_A = Pointers(heads.value);
  heads.value_up_A = Pointers(heads.value_up);
  return heads;
}

PackedExperts MakeExperts(const PolicyConfig& c, NumberKind kind, bool training) {
  PackedExperts experts;
  for (std::int64_t e = 0; e < c.n_routed_experts; ++e) {
    experts.networks.push_back(MakeNetwork(Size(c.moe_intermediate_size), Size(c.hidden_size), kind,
                                           training, /*bias=*/false));
  }
  for (const PackedNetwork& network : experts.networks) {
    experts.gate_up_E.push_back(&network.gate_up);
    experts.both_E.push_back(&network.gate_up.both());
    experts.both_transposed_E.push_back(&network.gate_up_transposed);
    experts.down_E.push_back(&network.down.matrix);
    experts.down_transposed_E.push_back(&network.down.transposed);
  }
  return experts;
}

std::vector<float> Ones(std::int64_t n) {
  return std::vector<float>(Size(n), 1.0F);
}

// First row of a projection among those stacked in PackedBlock::in.
std::size_t RowOfStacked(const PolicyConfig& c, Part part) {
  const std::int64_t heads = c.num_attention_heads;
  switch (part) {
    case Part::kKvA:
      return Size(c.q_lora_rank > 0 ? c.q_lora_rank : heads * c.qk_head_dim());
    case Part::kK:
      return Size(heads * c.head_dim);
    case Part::kV:
      return Size((heads + c.num_key_value_heads) * c.head_dim);
    default:
      return 0;
  }
}

WeightPlace LinearPlace(PackedLinear& linear, bool bias, std::size_t row = 0) {
  WeightPlace place;
  place.row = row;
  if (bias) {
    place.vector = &linear.bias;
  } else {
    place.linear = &linear;
  }
  return place;
}

WeightPlace NetworkPlace(PackedNetwork& network, Half half, bool bias) {
  WeightPlace place;
  place.network = &network;
  place.half = half;
  if (bias) place.vector = &network.gate_up_bias;
  return place;
}

WeightPlace VectorPlace(std::vector<float>& vector) {
  WeightPlace place;
  place.vector = &vector;
  return place;
}

}  // namespace

PackedBlock WeightPlaces::MakeBlock(const Weights& weights, bool dense) {
  const PolicyConfig& c = weights.config();
  const NumberKind kind = weights.kind();
  const bool training = weights.use() == WeightsUse::kTraining;
  const std::size_t hidden = Size(c.hidden_size);
  PackedBlock block;
  block.dense = dense;
  block.input_norm = block.post_attention_norm = Ones(c.hidden_size);
  if (c.attention == AttentionKind::kLatent) {
    block.in = MakeLinear(RowOfStacked(c, Part::kKvA) + Size(c.kv_width()), hidden, kind, training,
                          c.input_bias);
    if (c.q_lora_rank > 0) {
      block.q_norm = Ones(c.q_lora_rank);
      block.q_b = MakeLinear(Size(c.num_attention_heads * c.qk_head_dim()), Size(c.q_lora_rank),
                             kind, training);
    }
    block.k_norm = Ones(c.kv_lora_rank);
    block.latent = MakeLatentHeads(c, kind, training);
    block.out = MakeLinear(hidden, Size(c.num_attention_heads * c.v_head_dim), kind, training,
                           c.output_bias);
  } else {
    const std::int64_t rows = (c.num_attention_heads + 2 * c.num_key_value_heads) * c.head_dim;
    block.in = MakeLinear(Size(rows), hidden, kind, training, c.input_bias);
    if (c.qk_norm) block.q_norm = block.k_norm = Ones(c.head_dim);
    block.out =
        MakeLinear(hidden, Size(c.num_attention_heads * c.head_dim), kind, training, c.output_bias);
  }
  if (dense) {
    block.network = MakeNetwork(Size(c.intermediate_size), hidden, kind, training, c.mlp_bias);
    return block;
  }
  block.router = MakeLinear(Size(c.n_routed_experts), hidden, NumberKind::kFp32, training);
  if (c.selection_bias) block.selection_bias.assign(Size(c.n_routed_experts), 0.0F);
  block.experts = MakeExperts(c, kind, training);
  if (c.shared_width() == 0) return block;
  block.network = MakeNetwork(Size(c.shared_width()), hidden, kind, training, c.mlp_bias);
  if (c.shared_expert_gate) block.shared_switch = MakeLinear(1, hidden, kind, training);
  return block;
}

void WeightPlaces::Make(Weights& weights) {
  const PolicyConfig& c = weights.config();
  const NumberKind kind = weights.kind();
  const bool training = weights.use() == WeightsUse::kTraining;
  const std::size_t hidden = Size(c.hidden_size);
  const std::size_t vocab = Size(c.vocab_size);
  weights.embedding_ = MakeLinear(vocab, hidden, kind, training && c.tie_word_embeddings);
  if (!c.tie_word_embeddings) weights.head_ = MakeLinear(vocab, hidden, kind, training);
  weights.final_norm_ = Ones(c.hidden_size);
  for (std::int64_t l = 0; l < c.num_hidden_layers; ++l)
    weights.blocks_.push_back(MakeBlock(weights, c.dense_layer(l)));
  if (c.num_nextn_predict_layers == 0) return;
  PackedMtp& mtp = weights.mtp_.emplace();
  mtp.embedding_norm = mtp.hidden_norm = mtp.final_norm = Ones(c.hidden_size);
  mtp.projection = MakeLinear(hidden, 2 * hidden, kind, training);
  mtp.block = MakeBlock(weights, /*dense=*/false);
}

WeightPlace WeightPlaces::InBlock(const PolicyConfig& config,
                                  PackedBlock& block,
                                  const TensorSpec& spec) {
  const bool bias = spec.role == TensorRole::kBias;
  PackedNetwork& network =
      spec.expert < 0 ? block.network : block.experts.networks[Size(spec.expert)];
  WeightPlace place;
  switch (spec.part) {
    case Part::kInputNorm:
      return VectorPlace(block.input_norm);
    case Part::kPostAttentionNorm:
      return VectorPlace(block.post_attention_norm);
    case Part::kQ:
    case Part::kQA:
    case Part::kKvA:
    case Part::kK:
    case Part::kV:
      return LinearPlace(block.in, bias, RowOfStacked(config, spec.part));
    case Part::kQANorm:
    case Part::kQNorm:
      return VectorPlace(block.q_norm);
    case Part::kKvANorm:
    case Part::kKNorm:
      return VectorPlace(block.k_norm);
    case Part::kQB:
      return LinearPlace(block.q_b, bias);
    case Part::kKvB:
      place.heads = &block.latent;
      return place;
    case Part::kO:
      return LinearPlace(block.out, bias);
    case Part::kMlpGate:
    case Part::kSharedGate:
    case Part::kExpertGate:
      return NetworkPlace(network, Half::kGate, bias);
    case Part::kMlpUp:
    case Part::kSharedUp:
    case Part::kExpertUp:
      return NetworkPlace(network, Half::kUp, bias);
    case Part::kMlpDown:
    case Part::kSharedDown:
    case Part::kExpertDown:
      return LinearPlace(network.down, bias);
    case Part::kSharedSwitch:
      return LinearPlace(block.shared_switch, bias);
    case Part::kRouter:
      return LinearPlace(block.router, bias);
    case Part::kSelectionBias:
      return VectorPlace(block.selection_bias);
    default:
      return place;
  }
}

WeightPlace WeightPlaces::Of(Weights& weights, const TensorSpec& spec) {
  switch (spec.part) {
    case Part::kEmbedding:
      return LinearPlace(weights.embedding_, false);
    case Part::kHead:
      return LinearPlace(weights.head_, false);
    case Part::kFinalNorm:
      return VectorPlace(weights.final_norm_);
    case Part::kMtpEmbeddingNorm:
      return VectorPlace(weights.mtp_->embedding_norm);
    case Part::kMtpHiddenNorm:
      return VectorPlace(weights.mtp_->hidden_norm);
    case Part::kMtpProjection:
      return LinearPlace(weights.mtp_->projection, false);
    case Part::kMtpFinalNorm:
      return VectorPlace(weights.mtp_->final_norm);
    default:
      break;
  }
  const bool in_mtp = spec.layer == weights.config().num_hidden_layers;
  return InBlock(weights.config(), in_mtp ? weights.mtp_->block : weights.blocks_[Size(spec.layer)],
                 spec);
}

}  // namespace aha::policy
