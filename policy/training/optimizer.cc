#include "policy/training/optimizer.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numbers>
#include <numeric>
#include <type_traits>

#include <fmt/ranges.h>

namespace aha::policy {
namespace {

template <class T>
std::size_t Bytes(const Weights& weights) {
  return weights.trainable_numbers() * sizeof(T);
}
std::size_t MomentBytes(const Weights& weights, const AdamWOptions& options) {
  return options.moments == Moments::kBf16 ? Bytes<cpu::Bf16>(weights) : Bytes<float>(weights);
}

template <class T>
TensorView ViewOf(const char* name, const cpu::Buffer& flat) {
  return {name,
          std::is_same_v<T, float> ? SafetensorsDtype::kF32 : SafetensorsDtype::kBF16,
          {static_cast<std::int64_t>(flat.size() / sizeof(T))},
          {flat.data(), flat.size()}};
}

// A tensor's part of a flat array.
template <class T>
cpu::Rows<T> RowsOf(const cpu::Buffer& flat, const Weights::Tensor& tensor) {
  auto* numbers = reinterpret_cast<T*>(const_cast<std::byte*>(flat.data()));
  return {numbers + tensor.offset, tensor.rows, tensor.columns};
}

}  // namespace

AdamW::AdamW(const Weights& weights, const AdamWOptions& options)
    : options_(options),
      master_(Bytes<float>(weights)),
      first_(MomentBytes(weights, options)),
      second_(MomentBytes(weights, options)) {
  for (std::size_t t = 0; t < weights.tensors().size(); ++t) {
    const Weights::Tensor& tensor = weights.tensors()[t];
    if (tensor.spec.trainable) weights.Read(t, 0, RowsOf<float>(master_, tensor));
  }
}

void AdamW::WriteWeights(const cpu::Cpu& cpu, Weights& weights, std::size_t tensor) const {
  // Whole panels of 32 rows a thread: no two write one cache line of the packed form.
  constexpr std::size_t kPanel = cpu::PackedMatrix::kPanel;
  const cpu::Rows<float> rows = RowsOf<float>(master_, weights.tensors()[tensor]);
  const std::size_t panels = (rows.count + kPanel - 1) / kPanel;
  cpu.pool().ParallelFor(panels, 1, [&](std::size_t begin, std::size_t end) {
    const std::size_t first = begin * kPanel;
    const std::size_t count = std::min(end * kPanel, rows.count) - first;
    weights.Write(tensor, first, cpu::Rows<const float>(rows[first], count, rows.width));
  });
}

template <class M>
void AdamW::StepTensor(const cpu::Cpu& cpu,
                       const cpu::AdamWStep& step,
                       cpu::Rows<const float> gradient,
                       Weights& weights,
                       std::size_t tensor) {
  const Weights::Tensor& t = weights.tensors()[tensor];
  const bool bf16 = weights.kind() == cpu::NumberKind::kBf16;
  cpu::AdamWUpdate(
      cpu, step, RowsOf<float>(master_, t), gradient, RowsOf<M>(first_, t), RowsOf<M>(second_, t),
      [&](std::size_t first, cpu::Rows<const float> master, cpu::Rows<const cpu::Bf16> rounded) {
        if (bf16) {
          weights.Write(tensor, first, rounded);
        } else {
          weights.Write(tensor, first, master);
        }
      });
}

double AdamW::Step(const cpu::Cpu& cpu,
                   Weights& weights,
                   const Gradients& gradients,
                   double learning_rate) {
  double norm = 0;
  {
    const cpu::Working working(cpu.clock(), cpu::Work::kClip);
    norm = std::sqrt(cpu::SquareSum(cpu, gradients.flat()));
  }
  const cpu::Working working(cpu.clock(), cpu::Work::kOptimizer);
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
    if (options_.moments == Moments::kBf16) {
      StepTensor<cpu::Bf16>(cpu, step, gradient, weights, t);
    } else {
      StepTensor<float>(cpu, step, gradient, weights, t);
    }
  }
  return norm;
}

std::vector<TensorView> AdamW::State() const {
  const auto moment = options_.moments == Moments::kBf16 ? ViewOf<cpu::Bf16> : ViewOf<float>;
  return {{"adamw.steps",
           SafetensorsDtype::kI64,
           {1},
           {reinterpret_cast<const std::byte*>(&steps_), sizeof(steps_)}},
          ViewOf<float>("adamw.master", master_),
          moment("adamw.first_moment", first_),
          moment("adamw.second_moment", second_)};
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

}  // namespace aha::policy
