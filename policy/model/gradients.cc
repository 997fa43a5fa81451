#include "policy/model/gradients.h"

#include <algorithm>

namespace aha::policy {
namespace {

constexpr std::size_t kGrain = std::size_t{1} << 16;

std::size_t Bytes(const Weights::Tensor& tensor) {
  return tensor.numbers() * sizeof(float);
}

}  // namespace

Gradients::Gradients(const Weights& weights)
    : weights_(weights),
      count_(weights.trainable_numbers()),
      memory_(count_ * sizeof(float)),
      layers_(static_cast<std::size_t>(weights.config().num_hidden_layers) + 2) {
  for (std::size_t t = 0; t < weights.tensors().size(); ++t) {
    const TensorSpec& spec = weights.tensors()[t].spec;
    if (!spec.trainable) continue;
    Layer& layer = layers_[static_cast<std::size_t>(spec.layer + 1)];
    const auto part = static_cast<std::size_t>(spec.part);
    if (spec.expert < 0) {
      (spec.role == TensorRole::kBias ? layer.bias : layer.weight)[part] = t;
    } else if (spec.part == Part::kExpertGate) {
      layer.expert_gate.push_back(t);  // its up and down projections are the next two
    }
  }
}

cpu::Rows<float> Gradients::of(std::size_t tensor) {
  const Weights::Tensor& t = weights_.tensors()[tensor];
  return {reinterpret_cast<float*>(memory_.data()) + t.offset, t.rows, t.columns};
}

cpu::Rows<float> Gradients::weight(std::int64_t layer, Part part) {
  return of(layers_[static_cast<std::size_t>(layer + 1)].weight[static_cast<std::size_t>(part)]);
}
float* Gradients::bias(std::int64_t layer, Part part) {
  const std::size_t tensor =
      layers_[static_cast<std::size_t>(layer + 1)].bias[static_cast<std::size_t>(part)];
  return tensor == kNone ? nullptr : of(tensor).data;
}
cpu::Rows<float> Gradients::expert(std::int64_t layer, std::size_t expert, Part part) {
  const std::size_t gate = layers_[static_cast<std::size_t>(layer + 1)].expert_gate[expert];
  return of(gate + (part == Part::kExpertGate ? 0 : part == Part::kExpertUp ? 1 : 2));
}

cpu::Rows<float> Gradients::table(TableUse use) {
  const bool tied = weights_.config().tie_word_embeddings;
  if (use == TableUse::kHead) return weight(-1, tied ? Part::kEmbedding : Part::kHead);
  const std::size_t tensor = layers_[0].weight[static_cast<std::size_t>(Part::kEmbedding)];
  const Weights::Tensor& table = weights_.tensors()[tensor];
  cpu::Buffer& memory = apart_[static_cast<std::size_t>(use)];
  if (memory.size() == 0) memory = cpu::Buffer(Bytes(table));
  return {reinterpret_cast<float*>(memory.data()), table.rows, table.columns};
}

Gradients::Looked Gradients::embedding(std::span<const std::int32_t> ids_T) {
  const cpu::Rows<float> whole = weight(-1, Part::kEmbedding);
  if (!weights_.config().tie_word_embeddings) return {whole, {ids_T.begin(), ids_T.end()}};
  row_V_.resize(whole.count, -1);
  Looked looked;
  for (const std::int32_t id : ids_T) {
    std::int32_t& row = row_V_[static_cast<std::size_t>(id)];
    if (row < 0) {
      row = static_cast<std::int32_t>(looked_.size());
      looked_.push_back(id);
    }
    looked.row_T.push_back(row);
  }
  looked_rows_.resize(looked_.size() * whole.width, 0.0F);
  looked.rows = {looked_rows_.data(), looked_.size(), whole.width};
  return looked;
}

void Gradients::Finish(const cpu::Cpu& cpu) {
  for (std::size_t r = 0; r < looked_.size(); ++r) {
    const cpu::Rows<float> whole = weight(-1, Part::kEmbedding);
    float* to = whole[static_cast<std::size_t>(looked_[r])];
    for (std::size_t i = 0; i < whole.width; ++i)
      to[i] += looked_rows_[r * whole.width + i];
  }
  ForgetLooked();
  for (const TableUse use : {TableUse::kMtpEmbedding, TableUse::kMtpHead}) {
    cpu::Buffer& memory = apart_[static_cast<std::size_t>(use)];
    if (memory.size() == 0) continue;
    const bool head = use == TableUse::kMtpHead && !weights_.config().tie_word_embeddings;
    float* to = weight(-1, head ? Part::kHead : Part::kEmbedding).data;
    auto* from = reinterpret_cast<float*>(memory.data());
    cpu.pool().ParallelFor(memory.size() / sizeof(float), kGrain,
                           [&](std::size_t begin, std::size_t end) {
                             for (std::size_t i = begin; i < end; ++i)
                               to[i] += from[i];
                             std::fill(from + begin, from + end, 0.0F);
                           });
  }
}

void Gradients::ForgetLooked() {
  for (const std::int32_t id : looked_)
    row_V_[static_cast<std::size_t>(id)] = -1;
  looked_.clear();
  looked_rows_.clear();
}

void Gradients::Clear(const cpu::Cpu& cpu) {
  ForgetLooked();
  const auto clear = [&](cpu::Buffer& memory) {
    auto* to = reinterpret_cast<float*>(memory.data());
    cpu.pool().ParallelFor(
        memory.size() / sizeof(float), kGrain,
        [&](std::size_t begin, std::size_t end) { std::fill(to + begin, to + end, 0.0F); });
  };
  clear(memory_);
  for (cpu::Buffer& memory : apart_)
    clear(memory);
}

}  // namespace aha::policy
