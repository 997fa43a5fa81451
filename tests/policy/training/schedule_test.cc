#include <cmath>
#include <string>

#include <gtest/gtest.h>

#include "policy/training/load_health.h"
#include "policy/training/optimizer.h"

namespace aha::policy {
namespace {

using Shape = Schedule::Shape;

Schedule Of(double peak, std::int64_t warmup, Shape shape, std::int64_t total) {
  Schedule schedule;
  schedule.peak = peak;
  schedule.warmup = warmup;
  schedule.shape = shape;
  schedule.total = total;
  return schedule;
}

struct RateCase {
  const char* name;
  Schedule schedule;
  std::vector<double> want;  // from update 0
};
void PrintTo(const RateCase& c, std::ostream* os) {
  *os << c.name;
}
class ScheduleTest : public testing::TestWithParam<RateCase> {};

TEST_P(ScheduleTest, GivesTheRates) {
  for (std::size_t i = 0; i < GetParam().want.size(); ++i) {
    EXPECT_NEAR(GetParam().schedule.At(static_cast<std::int64_t>(i)), GetParam().want[i], 1e-12)
        << i;
  }
}
// The cosine falls from 1 to 0.1 over 5 updates: 0.1 + 0.45 (1 + cos(pi i / 4)). Multi-step:
// DeepSeek LLM's 80 % and 90 % of the updates, times sqrt(0.1). Stable-decay: a tenth of 10 updates
// is the last one.
INSTANTIATE_TEST_SUITE_P(
    Table,
    ScheduleTest,
    testing::Values(RateCase{"Constant", Of(2, 0, Shape::kConstant, 5), {2, 2, 2, 2, 2}},
                    RateCase{"WarmUp", Of(2, 4, Shape::kConstant, 6), {.5, 1, 1.5, 2, 2, 2}},
                    RateCase{"Cosine",
                             Of(1, 0, Shape::kCosine, 5),
                             {1, .868198051533946, .55, .231801948466054, .1}},
                    RateCase{"CosineAfterWarmUp",
                             Of(1, 2, Shape::kCosine, 7),
                             {.5, 1, 1, .868198051533946, .55, .231801948466054, .1}},
                    RateCase{"CosineBeyondTheEnd", Of(1, 0, Shape::kCosine, 3), {1, .55, .1, .1}},
                    RateCase{"OneUpdate", Of(1, 0, Shape::kCosine, 1), {1}},
                    RateCase{"MultiStep",
                             Of(1, 2, Shape::kMultiStep, 10),
                             {.5, 1, 1, 1, 1, 1, 1, 1, std::sqrt(.1), .1, .1}},
                    RateCase{"StableDecay",
                             Of(1, 2, Shape::kStableDecay, 10),
                             {.5, 1, 1, 1, 1, 1, 1, 1, 1, .1, .1}},
                    RateCase{"StableDecayOverAll",
                             [] {
                               Schedule s = Of(1, 0, Shape::kStableDecay, 4);
                               s.decay_share = .75;
                               s.final_ratio = 0;
                               return s;
                             }(),
                             {1, 2. / 3, 1. / 3, 0}}),
    [](const auto& p) { return std::string(p.param.name); });

TEST(LoadHealthTest, CountsTheDeadAndMeasuresEvenness) {
  const LoadHealth even = LoadHealthOf({{4, 4, 4, 4}, {1, 1}});
  EXPECT_NEAR(even.entropy, 1, 1e-12);
  EXPECT_EQ(even.dead, 0);
  EXPECT_NEAR(even.busiest_share, .5, 1e-12);
  EXPECT_NEAR(even.idlest_share, .25, 1e-12);
  const LoadHealth collapsed =
      LoadHealthOf({{8, 0, 0, 0}, {2, 2, 2, 2}, {0, 0}});  // the last saw no token
  EXPECT_NEAR(collapsed.entropy, .5, 1e-12);
  EXPECT_EQ(collapsed.dead, 3);
  EXPECT_EQ(collapsed.busiest_share, 1);
  EXPECT_EQ(collapsed.idlest_share, 0);
  EXPECT_EQ(LoadHealthOf({}).entropy, 0);
}

}  // namespace
}  // namespace aha::policy
