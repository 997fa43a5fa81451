#include "pipelines/sampling/scored_group.h"

#include <cmath>
#include <optional>

#include <gtest/gtest.h>

namespace aha::pipelines {
namespace {

RewardPlan MathAndFormat() {
  RewardPlan plan;
  plan.Add("math", 1);
  plan.Add("format", .5);
  return plan;
}

// A sample of so many tokens; an outcome without a score is a failure.
struct Made {
  std::optional<double> math, format, total;
  int tokens = 1;
  std::int64_t thinking = 0;
  bool cut = false;
};

ScoredGroup Group(const std::vector<Made>& samples) {
  ScoredGroup group;
  for (const Made& made : samples) {
    proto::SampleRecord& sample = *group.record.add_sample();
    for (int t = 0; t < made.tokens; ++t)
      sample.mutable_completion()->add_ids(7);
    sample.mutable_completion()->set_finish(made.cut ? proto::FINISH_LENGTH : proto::FINISH_STOP);
    for (const auto& score : {made.math, made.format}) {
      proto::Outcome& outcome = *sample.add_outcome();
      if (score) {
        outcome.set_score(*score);
      } else {
        outcome.mutable_failure()->set_kind(proto::Failure::TIMEOUT);
      }
    }
    if (made.total) sample.set_total(*made.total);
    group.thinking_tokens.push_back(made.thinking);
  }
  return group;
}

double Metric(const std::vector<ScoredGroup>& groups, std::string_view name) {
  return ValueOf(Summarise(groups, MathAndFormat()), name);
}

TEST(SummariseTest, MeansAreOverTheSamplesOfAllGroups) {
  const std::vector<ScoredGroup> groups = {
      Group({{1, 1, 1.5, 10, 6, false}, {0, 1, .5, 20, 0, true}}), Group({{0, 0, 0, 3, 3, false}})};
  EXPECT_DOUBLE_EQ(Metric(groups, "reward"), 2. / 3);
  EXPECT_DOUBLE_EQ(Metric(groups, "reward/math"), 1. / 3);
  EXPECT_DOUBLE_EQ(Metric(groups, "reward/format"), 2. / 3);
  EXPECT_DOUBLE_EQ(Metric(groups, "completion_tokens"), 11);
  EXPECT_DOUBLE_EQ(Metric(groups, "thinking_tokens"), 3);
  EXPECT_DOUBLE_EQ(Metric(groups, "cut_by_length"), 1. / 3);
  EXPECT_DOUBLE_EQ(Metric(groups, "reward_failures/math"), 0);
}

// Law 5: an error is not a zero.
TEST(SummariseTest, FailuresAreCountedAndKeptOutOfMeans) {
  const std::vector<ScoredGroup> groups = {
      Group({{1, 1, 1.5}, {std::nullopt, 1, std::nullopt}, {std::nullopt, 0, std::nullopt}})};
  EXPECT_DOUBLE_EQ(Metric(groups, "reward"), 1.5);
  EXPECT_DOUBLE_EQ(Metric(groups, "reward/math"), 1);
  EXPECT_DOUBLE_EQ(Metric(groups, "reward_failures/math"), 2);
  EXPECT_DOUBLE_EQ(Metric(groups, "reward/format"), 2. / 3);
  EXPECT_DOUBLE_EQ(Metric(groups, "reward_failures/format"), 0);
}

TEST(SummariseTest, WhatHasNoValueIsNotZero) {
  const std::vector<ScoredGroup> failed = {Group({{std::nullopt, 1, std::nullopt}})};
  EXPECT_TRUE(std::isnan(Metric(failed, "reward")));
  EXPECT_TRUE(std::isnan(Metric(failed, "reward/math")));
  EXPECT_TRUE(std::isnan(Metric({}, "completion_tokens")));
  EXPECT_TRUE(std::isnan(Metric(failed, "no such metric")));
}

TEST(SummariseTest, CountsGroupsWhoseRewardsAreAllEqual) {
  const std::vector<ScoredGroup> groups = {
      Group({{1, 0, 1}, {1, 0, 1}}),                                    // equal
      Group({{1, 0, 1}, {0, 0, 0}}),                                    // not
      Group({{1, 0, 1}, {std::nullopt, 0, std::nullopt}}),              // one is left
      Group({{std::nullopt, 0, std::nullopt}, {0, 0, 0}, {1, 0, 1}})};  // two are left and differ
  EXPECT_DOUBLE_EQ(Metric(groups, "groups_without_signal"), .5);
}

TEST(RewardPlanTest, TheAccuracyComponentIsMathOrExactOrTheFirst) {
  struct Row {
    std::vector<const char*> names;
    std::size_t want;
  };
  for (const Row& row : {Row{{"format", "exact", "math"}, 2}, Row{{"format", "exact"}, 1},
                         Row{{"mine", "format"}, 0}}) {
    RewardPlan plan;
    for (const char* name : row.names)
      plan.Add(name, 1);
    EXPECT_EQ(plan.accuracy(), row.want);
    EXPECT_FALSE(plan.Find("none"));
  }
}

TEST(UnitCountTest, RoundsUp) {
  EXPECT_EQ(UnitCount(0, 4), 0U);
  EXPECT_EQ(UnitCount(4, 4), 1U);
  EXPECT_EQ(UnitCount(5, 4), 2U);
}

}  // namespace
}  // namespace aha::pipelines
