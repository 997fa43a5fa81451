#include "policy/training/optimizer.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numbers>
#include <numeric>

#include <fmt/ranges.h>

#include "policy/kernels/cpu/adamw.h"

namespace aha::policy {
namespace {

std::size_t Bytes(const Weights& weights) {
  return weights.trainable_numbers() * sizeof(float);
}

TensorView ViewOf(const char* name, const cpu::Buffer& flat) {
  return {name,
          SafetensorsDtype::kF32,
          {static_cast<std::int64_t>(flat.size() / sizeof(float))},
          {flat.data(), flat.size()}};
}

}  // namespace

AdamW::AdamW(const Weights& weights, const AdamWOptions& options)
    : options_(options), master_(Bytes(weights)), first_(Bytes(weights)), second_(Bytes(weights)) {
  for (std::size_t t = 0; t < weights.tensors().size(); ++t) {
    const Weights::Tensor& tensor = weights.tensors()[t];
    if (tensor.spec.trainable) weights.Read(t, 0, RowsOf(master_, tensor));
  }
}

cpu::Rows<float> AdamW::RowsOf(const cpu::Buffer& flat, const Weights::Tensor& tensor) const {
  auto* numbers = reinterpret_cast<float*>(const_cast<std::byte*>(flat.data()));
  return {numbers + tensor.offset, tensor.rows, tensor.columns};
}

void AdamW::WriteWeights(const cpu::Cpu& cpu, Weights& weights, std::size_t tensor) const {
  // Whole panels of 32 rows a thread: no two write one cache line of the packed form.
  constexpr std::size_t kPanel = cpu::PackedMatrix::kPanel;
  const cpu::Rows<float> rows = RowsOf(master_, weights.tensors()[tensor]);
  const std::size_t panels = (rows.count + kPanel - 1) / kPanel;
  cpu.pool().ParallelFor(panels, 1, [&](std::size_t begin, std::size_t end) {
    const std::size_t first = begin * kPanel;
    const std::size_t count = std::min(end * kPanel, rows.count) - first;
    weights.Write(tensor, first, cpu::Rows<const float>(rows[first], count, rows.width));
  });
}

double AdamW::Step(const cpu::Cpu& cpu,
                   Weights& weights,
                   const Gradients& gradients,
                   double learning_rate) {
  const double norm = std::sqrt(cpu::SquareSum(cpu, gradients.flat()));
  if (!std::isfinite(norm)) return norm;
  ++steps_;
  const bool clip = options_.clip_norm > 0 && norm > options_.clip_norm;
  cpu::AdamWStep step;
  step.rate = static_cast<float>(learning_rate);
  step.beta1 = static_cast<float>(options_.beta1);
  step.beta2 = static_cast<float>(options_.beta2);
  step.epsilon = static_cast<float>(options_.epsilon);
  const auto steps = static_cast<double>(steps_);
  step.correct1 = static_cast<float>(1.0 / (1.0 - std::pow(options_.beta1, steps)));
  step.correct2 = static_cast<float>(1.0 / (1.0 - std::pow(options_.beta2, steps)));
  step.gradient_scale = static_cast<float>(clip ? options_.clip_norm / norm : 1.0);
  for (std::size_t t = 0; t < weights.tensors().size(); ++t) {
    const Weights::Tensor& tensor = weights.tensors()[t];
    if (!tensor.spec.trainable) continue;
    const bool matrix = tensor.spec.role == TensorRole::kMatrix;
    step.decay = matrix ? static_cast<float>(options_.weight_decay) : 0.0F;
    const cpu::Rows<const float> gradient(gradients.flat().data() + tensor.offset, tensor.rows,
                                          tensor.columns);
    cpu::AdamWUpdate(cpu, step, RowsOf(master_, tensor), gradient, RowsOf(first_, tensor),
                     RowsOf(second_, tensor));
    WriteWeights(cpu, weights, t);
  }
  return norm;
}

std::vector<TensorView> AdamW::State() const {
  return {{"adamw.steps",
           SafetensorsDtype::kI64,
           {1},
           {reinterpret_cast<const std::byte*>(&steps_), sizeof(steps_)}},
          ViewOf("adamw.master", master_),
          ViewOf("adamw.first_moment", first_),
          ViewOf("adamw.second_moment", second_)};
}

Status AdamW::Restore(const SafetensorsFile& state, const cpu::Cpu& cpu, Weights& weights) {
  for (const TensorView& mine : State()) {
    const TensorView* stored = state.Find(mine.name);
    if (stored == nullptr)
      return Fail(Code::kCorrupt, "{}: tensor {} is missing", state.path().string(), mine.name);
    if (stored->shape != mine.shape || stored->dtype != mine.dtype) {
      return Fail(
          Code::kCorrupt,
          "{}: tensor {} has the shape [{}], this policy's optimizer [{}] (or another "
          "number type); it belongs to another model: remove the state folder to begin anew",
          state.path().string(), mine.name, fmt::join(stored->shape, ", "),
          fmt::join(mine.shape, ", "));
    }
    std::memcpy(const_cast<std::byte*>(mine.data.data()), stored->data.data(), mine.data.size());
  }
  for (std::size_t t = 0; t < weights.tensors().size(); ++t) {
    if (weights.tensors()[t].spec.trainable) WriteWeights(cpu, weights, t);
  }
  return {};
}

std::string FirstNotFinite(const Weights& weights) {
  std::vector<float> row;
  for (std::size_t t = 0; t < weights.tensors().size(); ++t) {
    const Weights::Tensor& tensor = weights.tensors()[t];
    row.resize(tensor.columns);
    for (std::size_t r = 0; r < tensor.rows; ++r) {
      weights.Read(t, r, cpu::Rows<float>(row.data(), 1, tensor.columns));
      if (!std::all_of(row.begin(), row.end(), [](float x) { return std::isfinite(x); }))
        return tensor.spec.name;
    }
  }
  return {};
}

double Schedule::At(std::int64_t step) const {
  if (step < warmup) return peak * static_cast<double>(step + 1) / static_cast<double>(warmup);
  const auto all = static_cast<double>(total);
  const auto last = static_cast<double>(total - 1);
  const auto at = static_cast<double>(step);
  // Share done of what begins after update `from` and ends at the last one.
  const auto done = [&](double from) {
    return std::clamp((at - from) / std::max(1.0, last - from), 0.0, 1.0);
  };
  switch (shape) {
    case Shape::kConstant:
      break;
    case Shape::kCosine: {
      const double turn = std::numbers::pi * done(static_cast<double>(warmup));
      return peak * (final_ratio + (1 - final_ratio) * 0.5 * (1 + std::cos(turn)));
    }
    case Shape::kMultiStep:
      return peak * (at < first_drop * all    ? 1
                     : at < second_drop * all ? drop_ratio
                                              : drop_ratio * drop_ratio);
    case Shape::kStableDecay: {
      // The last update before the decay still has the peak.
      const double from =
          std::max(static_cast<double>(warmup), std::ceil((1 - decay_share) * all)) - 1;
      return peak * (1 - (1 - final_ratio) * done(from));
    }
  }
  return peak;
}

void UpdateGateBiases(Weights& weights, const ExpertLoad& load, double rate) {
  if (rate == 0) return;
  const std::vector<std::size_t>& biases = weights.selection_biases();
  for (std::size_t l = 0; l < biases.size() && l < load.size(); ++l) {
    const auto experts = static_cast<std::int64_t>(load[l].size());
    const std::int64_t total = std::accumulate(load[l].begin(), load[l].end(), std::int64_t{0});
    std::vector<float> bias(load[l].size());
    weights.Read(biases[l], 0, cpu::Rows<float>(bias.data(), 1, bias.size()));
    for (std::size_t e = 0; e < bias.size(); ++e) {
      const std::int64_t missing = total - load[l][e] * experts;  // sign of mean - load, exact
      if (missing != 0) bias[e] += static_cast<float>(missing > 0 ? rate : -rate);
    }
    weights.Write(biases[l], 0, cpu::Rows<const float>(bias.data(), 1, bias.size()));
  }
}

double MaxViolation(const ExpertLoad& load) {
  double worst = 0;
  for (const std::vector<std::int64_t>& layer : load) {
    const std::int64_t total = std::accumulate(layer.begin(), layer.end(), std::int64_t{0});
    const double mean = static_cast<double>(total) / static_cast<double>(layer.size());
    const auto most = static_cast<double>(*std::max_element(layer.begin(), layer.end()));
    if (mean > 0) worst = std::max(worst, (most - mean) / mean);
  }
  return worst;
}

std::vector<std::vector<std::size_t>> CutMicroBatches(const std::vector<std::int64_t>& lengths,
                                                      std::int64_t budget) {
  std::vector<std::size_t> order(lengths.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return lengths[a] > lengths[b]; });
  std::vector<std::vector<std::size_t>> cuts;
  std::int64_t tokens = 0;
  for (const std::size_t i : order) {
    if (cuts.empty() || tokens + lengths[i] > budget) {
      cuts.emplace_back();
      tokens = 0;
    }
    cuts.back().push_back(i);
    tokens += lengths[i];
  }
  return cuts;
}

}  // namespace aha::policy
