#include "policy/training/optimizer.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <c10/core/GradMode.h>

namespace aha::policy {
namespace {

constexpr std::int64_t kGrain = 1 << 15;

std::int64_t Numbers(const Policy& policy) {
  std::int64_t total = 0;
  for (const NamedTensor& p : policy.parameters()) total += p.value.numel();
  return total;
}

// Square root of the sum of squares, in double, blocks of fixed size added in order.
double Norm(const at::Tensor& flat) {
  const auto* x = flat.const_data_ptr<float>();
  const std::int64_t n = flat.numel();
  double total = 0;
  for (std::int64_t start = 0; start < n; start += kGrain) {
    double block = 0;
    for (std::int64_t i = start; i < std::min(n, start + kGrain); ++i) block += double{x[i]} * double{x[i]};
    total += block;
  }
  return std::sqrt(total);
}

}  // namespace

GradientSum::GradientSum(const Policy& policy) : flat_(at::zeros({Numbers(policy)}, at::kFloat)) {}

void GradientSum::Collect(Policy& policy) {
  const at::NoGradGuard no_grad;
  std::int64_t at = 0;
  for (const NamedTensor& p : policy.parameters()) {
    at::Tensor& grad = const_cast<at::Tensor&>(p.value).mutable_grad();
    const std::int64_t size = p.value.numel();
    if (grad.defined()) {
      flat_.narrow(0, at, size).add_(grad.reshape({-1}));
      grad = at::Tensor();
    }
    at += size;
  }
}

AdamW::AdamW(const Policy& policy, const AdamWOptions& options)
    : options_(options),
      master_(at::empty({Numbers(policy)}, at::kFloat)),
      first_(at::zeros({Numbers(policy)}, at::kFloat)),
      second_(at::zeros({Numbers(policy)}, at::kFloat)) {
  const at::NoGradGuard no_grad;
  std::int64_t at = 0;
  for (const NamedTensor& p : policy.parameters()) {
    master_.narrow(0, at, p.value.numel()).copy_(p.value.reshape({-1}));
    at += p.value.numel();
    decay_.push_back(p.value.dim() >= 2 ? static_cast<float>(options.weight_decay) : 0.0F);
  }
}

double AdamW::Step(Policy& policy, const GradientSum& gradient, double learning_rate) {
  const double norm = Norm(gradient.flat());
  if (!std::isfinite(norm)) return norm;
  ++steps_;
  const bool clip = options_.clip_norm > 0 && norm > options_.clip_norm;
  const auto scale = static_cast<float>(clip ? options_.clip_norm / norm : 1.0);
  const auto beta1 = static_cast<float>(options_.beta1);
  const auto beta2 = static_cast<float>(options_.beta2);
  const auto correct1 = static_cast<float>(1.0 / (1.0 - std::pow(options_.beta1, static_cast<double>(steps_))));
  const auto correct2 = static_cast<float>(1.0 / (1.0 - std::pow(options_.beta2, static_cast<double>(steps_))));
  const auto rate = static_cast<float>(learning_rate);
  const auto epsilon = static_cast<float>(options_.epsilon);
  auto* w = master_.mutable_data_ptr<float>();
  auto* m = first_.mutable_data_ptr<float>();
  auto* v = second_.mutable_data_ptr<float>();
  const auto* g = gradient.flat().const_data_ptr<float>();
  std::int64_t start = 0;
  for (std::size_t p = 0; p < decay_.size(); ++p) {
    const std::int64_t size = policy.parameters()[p].value.numel();
    const float shrink = 1.0F - rate * decay_[p];
    at::parallel_for(start, start + size, kGrain, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        const float grad = g[i] * scale;
        m[i] = beta1 * m[i] + (1.0F - beta1) * grad;
        v[i] = beta2 * v[i] + (1.0F - beta2) * grad * grad;
        w[i] = w[i] * shrink - rate * (m[i] * correct1) / (std::sqrt(v[i] * correct2) + epsilon);
      }
    });
    start += size;
  }
  WritePolicy(policy);
  return norm;
}

void AdamW::WritePolicy(Policy& policy) const {
  const at::NoGradGuard no_grad;
  std::int64_t at = 0;
  for (const NamedTensor& p : policy.parameters()) {
    const_cast<at::Tensor&>(p.value).copy_(master_.narrow(0, at, p.value.numel()).view(p.value.sizes()));
    at += p.value.numel();
  }
}

std::vector<NamedTensor> AdamW::State() const {
  at::Tensor steps = at::empty({1}, at::kLong);
  steps.mutable_data_ptr<std::int64_t>()[0] = steps_;
  return {{"adamw.steps", steps}, {"adamw.master", master_}, {"adamw.first_moment", first_}, {"adamw.second_moment", second_}};
}

Status AdamW::Restore(const std::vector<NamedTensor>& state, Policy& policy) {
  const at::NoGradGuard no_grad;
  for (const NamedTensor& mine : State()) {
    const auto it = std::find_if(state.begin(), state.end(), [&](const NamedTensor& t) { return t.name == mine.name; });
    if (it == state.end()) return Fail(Code::kCorrupt, "optimizer state lacks tensor {}", mine.name);
    if (it->value.sizes() != mine.value.sizes() || it->value.scalar_type() != mine.value.scalar_type()) {
      return Fail(Code::kCorrupt, "optimizer state: tensor {} has another shape or type than this policy's", mine.name);
    }
    if (mine.name == "adamw.steps") {
      steps_ = it->value.const_data_ptr<std::int64_t>()[0];
    } else {
      const_cast<at::Tensor&>(mine.value).copy_(it->value);
    }
  }
  WritePolicy(policy);
  return {};
}

double Schedule::At(std::int64_t step) const {
  if (step < warmup) return peak * static_cast<double>(step + 1) / static_cast<double>(warmup);
  if (!cosine) return peak;
  const double span = static_cast<double>(std::max<std::int64_t>(1, total - 1 - warmup));
  const double done = std::clamp(static_cast<double>(step - warmup) / span, 0.0, 1.0);
  return peak * (final_ratio + (1 - final_ratio) * 0.5 * (1 + std::cos(std::numbers::pi * done)));
}

void UpdateGateBiases(Policy& policy, const std::vector<at::Tensor>& load, double rate) {
  if (rate == 0) return;
  const std::vector<at::Tensor> biases = policy.gate_biases();
  for (std::size_t l = 0; l < biases.size() && l < load.size(); ++l) {
    const auto* counts = load[l].const_data_ptr<std::int64_t>();
    auto* bias = biases[l].mutable_data_ptr<float>();
    const std::int64_t experts = biases[l].numel();
    const std::int64_t total = std::accumulate(counts, counts + experts, std::int64_t{0});
    for (std::int64_t e = 0; e < experts; ++e) {
      const std::int64_t missing = total - counts[e] * experts;  // sign of mean - load, exact
      if (missing != 0) bias[e] += static_cast<float>(missing > 0 ? rate : -rate);
    }
  }
}

double MaxViolation(const std::vector<at::Tensor>& load) {
  double worst = 0;
  for (const at::Tensor& layer : load) {
    const auto* counts = layer.const_data_ptr<std::int64_t>();
    const std::int64_t experts = layer.numel();
    const double mean = static_cast<double>(std::accumulate(counts, counts + experts, std::int64_t{0})) / static_cast<double>(experts);
    if (mean > 0) worst = std::max(worst, (static_cast<double>(*std::max_element(counts, counts + experts)) - mean) / mean);
  }
  return worst;
}

std::vector<std::vector<std::size_t>> CutMicroBatches(const std::vector<std::int64_t>& lengths, std::int64_t budget) {
  std::vector<std::size_t> order(lengths.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return lengths[a] > lengths[b]; });
  std::vector<std::vector<std::size_t>> cuts;
  std::int64_t longest = 0;
  for (const std::size_t i : order) {
    const bool fits = !cuts.empty() && longest * static_cast<std::int64_t>(cuts.back().size() + 1) <= budget;
    if (!fits) {
      cuts.emplace_back();
      longest = lengths[i];
    }
    cuts.back().push_back(i);
  }
  return cuts;
}

}  // namespace aha::policy
