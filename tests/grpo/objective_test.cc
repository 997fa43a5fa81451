#include "grpo/objective.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include <gtest/gtest.h>

namespace aha::grpo {
namespace {

TEST(K3Test, EqualsTheWorkedValuesAndIsNeverNegative) {
  const double d[] = {-1, -.2, 0, .2, 1};
  const double want[] = {.36787944, .01873075, 0, .02140276, .71828183};
  for (int i = 0; i < 5; ++i)
    EXPECT_NEAR(K3(0, d[i]), want[i], 6e-9) << i;
}

TEST(K3Test, SlopeIsOneMinusTheExponential) {
  const ObjectiveRule only_kl{.2, .2, 1};
  EXPECT_NEAR(GrpoLoss({-1.2F, -1.2F, -1, 0, 1}, only_kl).slope, -.22140276, 1e-7);
  EXPECT_EQ(GrpoLoss({-1, -1, -1, 0, 1}, only_kl).slope, 0);
}

struct ClipCase {
  const char* name;
  double epsilon, ratio, advantage;
  double want;      // min(rho A, clip(rho) A)
  double gradient;  // of it, with respect to log pi
};
void PrintTo(const ClipCase& c, std::ostream* os) {
  *os << c.name;
}

constexpr ClipCase kClips[] = {
    {"BelowGood", .2, .7, 1, .7, .7},       {"BelowBad", .2, .7, -1, -.8, 0},
    {"AboveGood", .2, 1.3, 1, 1.2, 0},      {"AboveBad", .2, 1.3, -1, -1.3, -1.3},
    {"InsideGood", .2, 1.1, 1, 1.1, 1.1},   {"InsideBad", .2, .9, -1, -.9, -.9},
    {"WideBelowBad", 10, .7, -1, -.7, -.7}, {"WideAboveGood", 10, 12, 1, 11, 0},
    {"WideAboveBad", 10, 12, -1, -12, -12}, {"NoAdvantage", .2, 3, 0, 0, 0},
};

class ClipTest : public testing::TestWithParam<ClipCase> {};

TEST_P(ClipTest, EqualsTheWorkedValues) {
  const ClipCase& c = GetParam();
  const auto logprob = static_cast<float>(std::log(c.ratio));
  const TokenLoss loss = GrpoLoss({logprob, 0, 0, c.advantage, 1}, {c.epsilon, c.epsilon, 0});
  EXPECT_NEAR(loss.loss, -c.want, 2e-6);
  EXPECT_NEAR(loss.ratio, c.ratio, 2e-6);
  EXPECT_EQ(loss.clipped, c.gradient == 0 && c.advantage != 0);
  EXPECT_EQ(loss.kl, 0);
  EXPECT_NEAR(loss.slope, -c.gradient, 2e-6);
}

INSTANTIATE_TEST_SUITE_P(Table, ClipTest, testing::ValuesIn(kClips), [](const auto& p) {
  return std::string(p.param.name);
});

// Lengths 2 (A = +1) and 4 (A = -1), all ratios 1.
TEST(ObjectiveTest, WeightsMakeTheReductions) {
  const double advantage[] = {1, 1, -1, -1, -1, -1};
  const auto loss = [&](const std::vector<double>& weights) {
    double sum = 0;
    for (std::size_t i = 0; i < 6; ++i) {
      const auto logprob = -static_cast<float>(i + 1);
      sum += GrpoLoss({logprob, logprob, 0, advantage[i], weights[i]}, {}).loss;
    }
    return sum;
  };
  EXPECT_NEAR(loss({1. / 4, 1. / 4, 1. / 8, 1. / 8, 1. / 8, 1. / 8}), 0, 1e-12);  // sequence mean
  EXPECT_NEAR(loss(std::vector(6, 1. / 6)), 1. / 3, 1e-12);                       // token mean
  EXPECT_NEAR(loss(std::vector(6, 1. / 2)), 1, 1e-12);           // sequence mean of token sums
  EXPECT_NEAR(loss(std::vector(6, 1. / (2 * 8))), .125, 1e-12);  // Dr. GRPO, L = 8
}

TEST(ObjectiveTest, KlIsAddedWithItsWeight) {
  const TokenLoss near = GrpoLoss({-1, -1, -.8F, 0, 1}, {.2, .2, .1});
  const TokenLoss far = GrpoLoss({-1, -1, -2, 0, .5}, {.2, .2, .1});
  EXPECT_NEAR(near.kl + far.kl, .02140276 + .36787944, 1e-7);
  EXPECT_NEAR(near.loss + far.loss, .1 * (.02140276 + .5 * .36787944), 1e-8);
}

TEST(ObjectiveTest, SlopesEqualFiniteDifferences) {
  // Ratios inside, below and above the range, advantages of both signs; none at a kink.
  const TokenTerms tokens[] = {{-1, -1.1F, -1.3F, 1, .1},   {-1.5F, -1.1F, -1, -1, .2},
                               {-.4F, -.9F, -.5F, 2, .3},   {-2, -1.2F, -2.5F, -.5, .1},
                               {-.9F, -1.4F, -.7F, -1, .2}, {-3, -3.05F, -2, .3, .1}};
  const ObjectiveRule rule{.2, .3, .05};
  constexpr float kStep = 1.F / 1024;  // exact in the numbers above
  for (const TokenTerms& token : tokens) {
    TokenTerms up = token, down = token;
    up.logprob += kStep;
    down.logprob -= kStep;
    const double slope =
        (GrpoLoss(up, rule).loss - GrpoLoss(down, rule).loss) / (double{up.logprob} - down.logprob);
    EXPECT_NEAR(GrpoLoss(token, rule).slope, slope, 1e-6);
  }
}

}  // namespace
}  // namespace aha::grpo
