#include "grpo/advantage.h"

#include <cmath>
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

TEST(AdvantageTest, LeaveOneOutComparesWithTheOthers) {
  const std::vector<GroupRewards> groups = {{1, 0, 0, 0}, {2, std::nullopt, 1}, {3}, {.1, .1, .1}};
  AdvantageRule rule;
  rule.baseline = Baseline::kLeaveOneOut;
  const auto got = Advantages(groups, rule);
  const std::vector<std::vector<double>> want = {
      {1, -1. / 3, -1. / 3, -1. / 3}, {1, 0, -1}, {0}, {0, 0, 0}};
  for (std::size_t g = 0; g < want.size(); ++g) {
    for (std::size_t i = 0; i < want[g].size(); ++i)
      EXPECT_NEAR(got[g][i], want[g][i], 1e-12) << g << "," << i;
  }
}

TEST(AdvantageTest, OverTheBatchRewardsAreWhitenedTogether) {
  const std::vector<GroupRewards> groups = {{1, 1}, {0, 0}, {std::nullopt}};
  AdvantageRule rule;
  rule.baseline = Baseline::kNone;
  rule.over_batch = true;
  rule.scale = GroupScale::kPopulation;
  rule.epsilon = 0;
  EXPECT_EQ(Advantages(groups, rule), (std::vector<std::vector<double>>{{1, 1}, {-1, -1}, {0}}));
  // With the group's mean off first, neither group has a signal.
  rule.baseline = Baseline::kGroup;
  EXPECT_EQ(Advantages(groups, rule), (std::vector<std::vector<double>>{{0, 0}, {0, 0}, {0}}));
  const std::vector<GroupRewards> mixed = {{3, 1}, {0, 0}};
  const auto got = Advantages(mixed, rule);
  EXPECT_NEAR(got[0][0], std::sqrt(2), 1e-12);
  EXPECT_NEAR(got[0][1], -std::sqrt(2), 1e-12);
  EXPECT_EQ(got[1][0], 0);
}

TEST(AdvantageTest, StepsAreNormalisedTogetherAndSummedFromEachOn) {
  const auto got = StepAdvantages({{.2, .9}, {.4, .1, .9}}, GroupScale::kPopulation, 0);
  const std::vector<std::vector<double>> want = {{.2936101, 1.1744404}, {-.2936101, 0, 1.1744404}};
  for (std::size_t i = 0; i < want.size(); ++i) {
    for (std::size_t s = 0; s < want[i].size(); ++s)
      EXPECT_NEAR(got[i][s], want[i][s], 6e-8);
  }
  EXPECT_EQ(OverTokens(std::vector<double>{2, 1}, std::vector<std::int64_t>{2, 3}, 5),
            (std::vector<double>{2, 2, 1, 0, 0}));
  EXPECT_EQ(StepAdvantages({{.1, .1}, {}, {.1}}, GroupScale::kSample, 0),
            (std::vector<std::vector<double>>{{0, 0}, {}, {0}}));
}

TEST(AdvantageTest, ProcessRewardsReachTheTokensOfTheirStepsAndThoseBefore) {
  const std::vector<std::vector<StepReward>> samples = {{{2, .2}, {4, .9}},
                                                        {{1, .4}, {2, .1}, {5, .9}}};
  EXPECT_TRUE(HasStepSignal(samples));
  const auto got =
      ProcessAdvantages(samples, std::vector<std::int64_t>{5, 5}, GroupScale::kPopulation, 0);
  const std::vector<std::vector<double>> want = {{.2936101, .2936101, 1.1744404, 1.1744404, 0},
                                                 {-.2936101, 0, 1.1744404, 1.1744404, 1.1744404}};
  for (std::size_t i = 0; i < want.size(); ++i) {
    for (std::size_t t = 0; t < want[i].size(); ++t)
      EXPECT_NEAR(got[i][t], want[i][t], 6e-8) << i << ", " << t;
  }
}

// A single step at the end of each completion is outcome supervision.
TEST(AdvantageTest, OneStepASampleIsTheOutcomesAdvantage) {
  const GroupRewards rewards = {1, 0, std::nullopt, 0};
  const auto outcome = GroupAdvantages(rewards, GroupScale::kSample, 1e-6);
  const auto got =
      ProcessAdvantages({{{3, 1}}, {{2, 0}}, {}, {{1, 0}}}, std::vector<std::int64_t>{3, 2, 4, 1},
                        GroupScale::kSample, 1e-6);
  for (std::size_t i = 0; i < rewards.size(); ++i) {
    for (const double a : got[i])
      EXPECT_DOUBLE_EQ(a, outcome[i]);
  }
}

TEST(AdvantageTest, StepsWithoutADifferenceOrWithoutAnotherSampleTeachNothing) {
  const std::vector<std::int64_t> lengths = {3, 2};
  for (const auto& samples : {std::vector<std::vector<StepReward>>{{{1, .1}, {3, .1}}, {{2, .1}}},
                              std::vector<std::vector<StepReward>>{{{1, 1}, {3, 0}}, {}}}) {
    EXPECT_FALSE(HasStepSignal(samples));
    EXPECT_EQ(ProcessAdvantages(samples, lengths, GroupScale::kNone, 0),
              (std::vector<std::vector<double>>{{0, 0, 0}, {0, 0}}));
  }
}

TEST(AdvantageTest, GeneralisedEstimatesEqualTheWorkedValues) {
  const std::vector<double> rewards = {0, 0, 1}, values = {.5, .6, .7};
  for (const auto& [lambda, want] : {std::pair{1., std::vector<double>{.5, .4, .3}},
                                     std::pair{.95, std::vector<double>{.46575, .385, .3}},
                                     // One step ahead: the deltas themselves.
                                     std::pair{0., std::vector<double>{.1, .1, .3}}}) {
    const GaeResult got = Gae(rewards, values, 1, lambda);
    for (std::size_t t = 0; t < want.size(); ++t) {
      EXPECT_NEAR(got.advantage_T[t], want[t], 1e-12) << lambda;
      EXPECT_NEAR(got.return_T[t], want[t] + values[t], 1e-12) << lambda;
    }
  }
  EXPECT_NEAR(Gae(rewards, values, .5, 1).advantage_T[0], .25 - .5, 1e-12);  // .5^2 r - V
}

TEST(AdvantageTest, ReturnsToGoTakeOffWhatComesLater) {
  EXPECT_EQ(ReturnsToGo(1, std::vector<double>{.5, .25, .125}),
            (std::vector<double>{.125, .625, .875}));
}

TEST(AdvantageTest, SignalIsADifferenceAmongKnownRewards) {
  EXPECT_TRUE(HasSignal(GroupRewards{1, 0}));
  EXPECT_FALSE(HasSignal(GroupRewards{1, std::nullopt, 1}));
  EXPECT_FALSE(HasSignal(GroupRewards{std::nullopt, std::nullopt}));
  EXPECT_FALSE(HasSignal(GroupRewards{5}));
  EXPECT_FALSE(HasSignal(GroupRewards{}));
}

}  // namespace
}  // namespace aha::grpo
