#include "rollout/sampler.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

namespace aha::rollout {
namespace {

std::int32_t Likeliest(std::span<const float> logprobs_V) {
  return static_cast<std::int32_t>(std::max_element(logprobs_V.begin(), logprobs_V.end()) - logprobs_V.begin());
}

// Ids that top-k and top-p leave, in id order. Top-p keeps the smallest set of likeliest tokens whose
// probabilities reach top_p; both break ties by the lower id.
std::vector<std::int32_t> Candidates(std::span<const float> logprobs_V, const SamplingRule& rule) {
  std::vector<std::int32_t> ids(logprobs_V.size());
  std::iota(ids.begin(), ids.end(), 0);
  std::stable_sort(ids.begin(), ids.end(), [&](std::int32_t a, std::int32_t b) {
    return logprobs_V[static_cast<std::size_t>(a)] > logprobs_V[static_cast<std::size_t>(b)];
  });
  if (rule.top_k > 0 && static_cast<std::size_t>(rule.top_k) < ids.size()) ids.resize(static_cast<std::size_t>(rule.top_k));
  if (rule.top_p < 1) {
    double total = 0;
    for (const std::int32_t id : ids) total += std::exp(double{logprobs_V[static_cast<std::size_t>(id)]});
    double sum = 0;
    std::size_t kept = 0;
    while (kept < ids.size() && (kept == 0 || sum < rule.top_p * total)) {
      sum += std::exp(double{logprobs_V[static_cast<std::size_t>(ids[kept++])]});
    }
    ids.resize(kept);
  }
  std::sort(ids.begin(), ids.end());
  return ids;
}

}  // namespace

std::int32_t PickToken(std::span<const float> logprobs_V, double draw, const SamplingRule& rule) {
  if (rule.temperature == 0) return Likeliest(logprobs_V);
  const bool whole = rule.top_k <= 0 && rule.top_p >= 1;
  std::vector<std::int32_t> ids;
  if (!whole) ids = Candidates(logprobs_V, rule);
  const std::size_t count = whole ? logprobs_V.size() : ids.size();
  const auto id_at = [&](std::size_t i) { return whole ? static_cast<std::int32_t>(i) : ids[i]; };
  std::vector<double> probability(count);
  double total = 0;
  for (std::size_t i = 0; i < count; ++i) {
    probability[i] = std::exp(double{logprobs_V[static_cast<std::size_t>(id_at(i))]});
    total += probability[i];
  }
  double sum = 0;
  std::int32_t last = id_at(0);
  for (std::size_t i = 0; i < count; ++i) {
    if (probability[i] == 0) continue;
    sum += probability[i];
    last = id_at(i);
    if (sum > draw * total) return last;
  }
  return last;  // draw * total rounded up to the whole sum
}

}  // namespace aha::rollout
