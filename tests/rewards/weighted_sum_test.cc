#include "rewards/weighted_sum.h"

#include <vector>

#include <gtest/gtest.h>

#include "rewards/reward.h"

namespace aha::rewards {
namespace {

proto::ItemOutcome Item(const std::vector<Outcome>& outcomes) {
  proto::ItemOutcome item;
  for (const auto& outcome : outcomes)
    *item.add_outcomes() = outcome;
  return item;
}

TEST(WeightedSum, AddsWeightedScores) {
  const std::vector<double> weights = {1, 0.5, -2};
  EXPECT_EQ(WeightedSum(Item({Scored(1), Scored(3), Scored(0.25)}), weights), 2);
  EXPECT_EQ(WeightedSum(Item({}), {}), 0);
}

TEST(WeightedSum, IsUnsetWhenAComponentFailed) {
  const Outcome failed = Failed(proto::Failure::TIMEOUT, "late");
  const std::vector<double> weights = {1, 0.5};
  EXPECT_EQ(WeightedSum(Item({Scored(1), failed}), weights), std::nullopt);
  EXPECT_EQ(WeightedSum(Item({Scored(1)}), weights), std::nullopt);
  const std::vector<double> watched = {1, 0};
  EXPECT_EQ(WeightedSum(Item({Scored(1), failed}), watched), 1);
}

}  // namespace
}  // namespace aha::rewards
