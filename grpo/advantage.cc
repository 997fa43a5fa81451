#include "grpo/advantage.h"

#include <algorithm>
#include <cmath>

namespace aha::grpo {

std::vector<double> GroupAdvantages(std::span<const std::optional<double>> rewards,
                                    GroupScale scale,
                                    double epsilon) {
  std::vector<double> advantages(rewards.size(), 0.0);
  std::vector<double> valid;
  for (const auto& r : rewards) {
    if (r) valid.push_back(*r);
  }
  if (valid.size() < 2) return advantages;
  // Equal rewards: their float mean may differ from them in the last bit, so ask before
  // subtracting.
  if (std::all_of(valid.begin(), valid.end(), [&](double r) { return r == valid.front(); }))
    return advantages;
  const auto n = static_cast<double>(valid.size());
  double sum = 0;
  for (const double r : valid)
    sum += r;
  const double mean = sum / n;
  double squares = 0;
  for (const double r : valid)
    squares += (r - mean) * (r - mean);
  double divisor = 1;
  if (scale == GroupScale::kSample) divisor = std::sqrt(squares / (n - 1)) + epsilon;
  if (scale == GroupScale::kPopulation) divisor = std::sqrt(squares / n) + epsilon;
  for (std::size_t i = 0; i < rewards.size(); ++i) {
    if (rewards[i]) advantages[i] = (*rewards[i] - mean) / divisor;
  }
  return advantages;
}

}  // namespace aha::grpo
