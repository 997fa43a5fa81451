#include "pipelines/report/axis.h"

#include <cmath>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace aha::pipelines {
namespace {

struct AxisCase {
  const char* name;
  bool rounded;
  double low, high;
  int most;
  double least_step;
  double want_low, want_high;
  std::vector<std::string> want_labels;
};

class AxisTest : public testing::TestWithParam<AxisCase> {};

TEST_P(AxisTest, PlacesTicks) {
  const AxisCase& c = GetParam();
  const Axis axis = c.rounded ? RoundedAxis(c.low, c.high, c.most)
                              : ExactAxis(c.low, c.high, c.most, c.least_step);
  EXPECT_NEAR(axis.low, c.want_low, 1e-9 * std::abs(c.want_low));
  EXPECT_NEAR(axis.high, c.want_high, 1e-9 * std::abs(c.want_high));
  std::vector<std::string> labels;
  for (const double tick : axis.ticks)
    labels.push_back(TickLabel(tick, axis.step));
  EXPECT_EQ(labels, c.want_labels);
}

INSTANTIATE_TEST_SUITE_P(
    Table,
    AxisTest,
    testing::Values(
        AxisCase{"Share", false, 0, 1, 5, 0, 0, 1, {"0", "0.2", "0.4", "0.6", "0.8", "1.0"}},
        AxisCase{"RoundsOutwards",
                 true,
                 13,
                 52,
                 5,
                 0,
                 10,
                 60,
                 {"10", "20", "30", "40", "50", "60"}},
        AxisCase{"AlreadyRound", true, 0, 0.3, 3, 0, 0, 0.3, {"0", "0.1", "0.2", "0.3"}},
        AxisCase{"Negative",
                 true,
                 -0.07,
                 0.02,
                 5,
                 0,
                 -0.08,
                 0.02,
                 {"−0.08", "−0.06", "−0.04", "−0.02", "0", "0.02"}},
        AxisCase{"ConstantIsWidened",
                 true,
                 5,
                 5,
                 5,
                 0,
                 4.4,
                 5.6,
                 {"4.4", "4.6", "4.8", "5.0", "5.2", "5.4", "5.6"}},
        AxisCase{"ConstantZero", true, 0, 0, 4, 0, -1, 1, {"−1.0", "−0.5", "0", "0.5", "1.0"}},
        AxisCase{"WholeSteps", false, 0, 2, 5, 1, 0, 2, {"0", "1", "2"}},
        AxisCase{"Thousands", false, 0, 10399, 5, 1, 0, 10399, {"0", "5k", "10k"}},
        AxisCase{"Millions", false, 0, 4e6, 4, 1, 0, 4e6, {"0", "1M", "2M", "3M", "4M"}},
        AxisCase{"Tiny", true, 0, 1e-5, 2, 0, 0, 1e-5, {"0", "5e−6", "1e−5"}},
        AxisCase{"EndsOffTheTicks", false, 0.05, 0.35, 3, 0, 0.05, 0.35, {"0.1", "0.2", "0.3"}}),
    [](const auto& p) { return std::string(p.param.name); });

TEST(Axis, StaysFiniteAtTheLargestDrawnRange) {
  const Axis axis = RoundedAxis(-kLargestDrawn, kLargestDrawn, 5);
  EXPECT_TRUE(Drawable(axis.step));
  EXPECT_THAT(axis.ticks, testing::SizeIs(testing::AllOf(testing::Ge(2U), testing::Le(12U))));
}

TEST(Axis, AStepBelowTheSpacingOfDoublesCountsAsConstant) {
  const Axis axis = RoundedAxis(1e15, 1e15 + 0.25, 5);
  EXPECT_LT(axis.low, 1e15);
  EXPECT_GT(axis.high, 1e15 + 0.25);
  EXPECT_LE(axis.ticks.size(), 12U);
}

}  // namespace
}  // namespace aha::pipelines
