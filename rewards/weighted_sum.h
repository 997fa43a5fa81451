#pragma once
/// From the components of a reward to its total.

#include <cstddef>
#include <optional>
#include <span>

#include "proto/rewards.pb.h"

namespace aha::rewards {

/// Sum of weight x score over the outcomes of one item, `weights` in the order of its outcomes.
/// Unset when a component failed or is missing (law 5): such a sample stays out of its group's mean
/// and standard deviation. A component of weight 0 is watched only: its failure does not count.
inline std::optional<double> WeightedSum(const proto::ItemOutcome& item,
                                         std::span<const double> weights) {
  if (static_cast<std::size_t>(item.outcomes_size()) != weights.size()) return std::nullopt;
  double total = 0;
  for (int i = 0; i < item.outcomes_size(); ++i) {
    const double weight = weights[static_cast<std::size_t>(i)];
    if (weight == 0) continue;
    if (!item.outcomes(i).has_score()) return std::nullopt;
    total += weight * item.outcomes(i).score();
  }
  return total;
}

}  // namespace aha::rewards
