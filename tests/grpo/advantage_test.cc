#include "grpo/advantage.h"

#include <limits>

#include <gtest/gtest.h>

namespace aha::grpo {
namespace {

using Rewards = std::vector<std::optional<double>>;

struct AdvantageCase {
  const char* name;
  Rewards rewards;
  GroupScale scale;
  double epsilon;
  std::vector<double> want;
};
void PrintTo(const AdvantageCase& c, std::ostream* os) {
  *os << c.name;
}

const AdvantageCase kCases[] = {
    {"HalfRightPopulation", {1, 0, 0, 1}, GroupScale::kPopulation, 0, {1, -1, -1, 1}},
    {"HalfRightSample",
     {1, 0, 0, 1},
     GroupScale::kSample,
     0,
     {.8660254, -.8660254, -.8660254, .8660254}},
    {"HalfRightAsTrl",
     {1, 0, 0, 1},
     GroupScale::kSample,
     1e-4,
     {.8658754, -.8658754, -.8658754, .8658754}},
    {"HalfRightAsVerl",
     {1, 0, 0, 1},
     GroupScale::kSample,
     1e-6,
     {.8660239, -.8660239, -.8660239, .8660239}},
    {"HalfRightCentred", {1, 0, 0, 1}, GroupScale::kNone, 0, {.5, -.5, -.5, .5}},
    {"OneRightPopulation",
     {1, 0, 0, 0},
     GroupScale::kPopulation,
     0,
     {1.7320508, -.5773503, -.5773503, -.5773503}},
    {"OneRightSample", {1, 0, 0, 0}, GroupScale::kSample, 0, {1.5, -.5, -.5, -.5}},
    {"OneRightCentred", {1, 0, 0, 0}, GroupScale::kNone, 0, {.75, -.25, -.25, -.25}},
    {"GradedPopulation", {2, 1, 1, 0}, GroupScale::kPopulation, 0, {1.4142136, 0, 0, -1.4142136}},
    {"GradedSample", {2, 1, 1, 0}, GroupScale::kSample, 0, {1.2247449, 0, 0, -1.2247449}},
    // The scale of rewards cancels out, epsilon aside; their offset does too.
    {"ShiftedAndStretched", {25, 15, 15, 5}, GroupScale::kSample, 0, {1.2247449, 0, 0, -1.2247449}},
    // A failed verifier is no zero: it is out of mean and deviation.
    {"OneFailed", {1, std::nullopt, 0, 0, 1}, GroupScale::kPopulation, 0, {1, 0, -1, -1, 1}},
    {"OneFailedSample",
     {std::nullopt, 1, 0, 0, 0},
     GroupScale::kSample,
     0,
     {0, 1.5, -.5, -.5, -.5}},
    {"OneLeft", {std::nullopt, 1, std::nullopt}, GroupScale::kSample, 0, {0, 0, 0}},
    {"AllFailed", {std::nullopt, std::nullopt}, GroupScale::kNone, 0, {0, 0}},
    {"Nothing", {}, GroupScale::kSample, 0, {}},
};

class AdvantageTest : public testing::TestWithParam<AdvantageCase> {};

TEST_P(AdvantageTest, EqualsTheWorkedValues) {
  const AdvantageCase& c = GetParam();
  const std::vector<double> got = GroupAdvantages(c.rewards, c.scale, c.epsilon);
  ASSERT_EQ(got.size(), c.want.size());
  for (std::size_t i = 0; i < got.size(); ++i)
    EXPECT_NEAR(got[i], c.want[i], 6e-8) << i;
}

INSTANTIATE_TEST_SUITE_P(Table, AdvantageTest, testing::ValuesIn(kCases), [](const auto& p) {
  return std::string(p.param.name);
});

TEST(AdvantageTest, EpsilonDefaultsToVerls) {
  const Rewards rewards = {1, 0, 0, 1};
  EXPECT_EQ(GroupAdvantages(rewards, GroupScale::kSample),
            GroupAdvantages(rewards, GroupScale::kSample, 1e-6));
}

// Seven times 0.1 has a mean that is not 0.1: dividing what is left by an epsilon would make a
// gradient from nothing.
TEST(AdvantageTest, EqualRewardsGiveExactZeros) {
  for (const double reward : {.1, 0., -1e300, 1. / 3}) {
    for (const GroupScale scale :
         {GroupScale::kSample, GroupScale::kPopulation, GroupScale::kNone}) {
      Rewards rewards(7, reward);
      rewards.insert(rewards.begin() + 3, std::nullopt);
      EXPECT_EQ(GroupAdvantages(rewards, scale, 1e-6), std::vector<double>(8, 0.0)) << reward;
    }
  }
}

TEST(AdvantageTest, SumToNothing) {
  const Rewards rewards = {.3, -2, 7.25, std::nullopt, 0, 1e-3};
  for (const GroupScale scale : {GroupScale::kSample, GroupScale::kPopulation, GroupScale::kNone}) {
    double sum = 0;
    for (const double a : GroupAdvantages(rewards, scale))
      sum += a;
    EXPECT_NEAR(sum, 0, 1e-12);
  }
}

}  // namespace
}  // namespace aha::grpo
