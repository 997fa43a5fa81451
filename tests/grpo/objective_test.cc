#include "grpo/objective.h"

#include <cmath>

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace aha::grpo {
namespace {

at::Tensor Numbers(const std::vector<double>& values) {
  return at::tensor(values, at::kDouble);
}

TEST(K3Test, EqualsTheWorkedValuesAndIsNeverNegative) {
  const at::Tensor d = Numbers({-1, -.2, 0, .2, 1});
  const at::Tensor k3 = K3(at::zeros_like(d), d);
  const double want[] = {.36787944, .01873075, 0, .02140276, .71828183};
  for (int i = 0; i < 5; ++i)
    EXPECT_NEAR(k3[i].item<double>(), want[i], 6e-9) << i;
}

TEST(K3Test, GradientIsOneMinusTheExponential) {
  const at::Tensor logprob = Numbers({-1.2, -1}).requires_grad_();
  K3(logprob, Numbers({-1, -1})).sum().backward();
  EXPECT_NEAR(logprob.grad()[0].item<double>(), -.22140276, 6e-9);
  EXPECT_EQ(logprob.grad()[1].item<double>(), 0);
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
  const at::Tensor logprob = Numbers({std::log(c.ratio)}).requires_grad_();
  const ObjectiveParts parts = GrpoLoss(logprob, Numbers({0}), at::Tensor(), Numbers({c.advantage}),
                                        Numbers({1}), {c.epsilon, c.epsilon, 0});
  EXPECT_NEAR(parts.loss.item<double>(), -c.want, 1e-12);
  EXPECT_NEAR(parts.ratio_max, c.ratio, 1e-12);
  EXPECT_EQ(parts.clipped, c.gradient == 0 && c.advantage != 0 ? 1 : 0);
  EXPECT_EQ(parts.kl_sum, 0);
  parts.loss.backward();
  EXPECT_NEAR(logprob.grad().item<double>(), -c.gradient, 1e-12);
}

INSTANTIATE_TEST_SUITE_P(Table, ClipTest, testing::ValuesIn(kClips), [](const auto& p) {
  return std::string(p.param.name);
});

// Lengths 2 (A = +1) and 4 (A = -1), all ratios 1.
TEST(ObjectiveTest, WeightsMakeTheReductions) {
  const at::Tensor logprob = Numbers({-1, -2, -3, -4, -5, -6});
  const at::Tensor advantage = Numbers({1, 1, -1, -1, -1, -1});
  const auto loss = [&](const std::vector<double>& weights) {
    return GrpoLoss(logprob, logprob, at::Tensor(), advantage, Numbers(weights), {})
        .loss.item<double>();
  };
  EXPECT_NEAR(loss({1. / 4, 1. / 4, 1. / 8, 1. / 8, 1. / 8, 1. / 8}), 0, 1e-12);  // sequence mean
  EXPECT_NEAR(loss(std::vector(6, 1. / 6)), 1. / 3, 1e-12);                       // token mean
  EXPECT_NEAR(loss(std::vector(6, 1. / 2)), 1, 1e-12);           // sequence mean of token sums
  EXPECT_NEAR(loss(std::vector(6, 1. / (2 * 8))), .125, 1e-12);  // Dr. GRPO, L = 8
}

TEST(ObjectiveTest, KlIsAddedWithItsWeight) {
  const at::Tensor logprob = Numbers({-1, -1});
  const ObjectiveParts parts = GrpoLoss(logprob, logprob, Numbers({-.8, -2}), Numbers({0, 0}),
                                        Numbers({1, .5}), {.2, .2, .1});
  EXPECT_NEAR(parts.kl_sum, .02140276 + .36787944, 1e-8);
  EXPECT_NEAR(parts.loss.item<double>(), .1 * (.02140276 + .5 * .36787944), 1e-9);
}

TEST(ObjectiveTest, GradientEqualsFiniteDifferences) {
  // Ratios inside, below and above the range, advantages of both signs; none at a kink.
  const std::vector<double> at_point = {-1, -1.5, -.4, -2, -.9, -3};
  const at::Tensor old = Numbers({-1.1, -1.1, -.9, -1.2, -1.4, -3.05});
  const at::Tensor reference = Numbers({-1.3, -1, -.5, -2.5, -.7, -2});
  const at::Tensor advantage = Numbers({1, -1, 2, -.5, -1, .3});
  const at::Tensor weight = Numbers({.1, .2, .3, .1, .2, .1});
  const auto loss = [&](const at::Tensor& logprob) {
    return GrpoLoss(logprob, old, reference, advantage, weight, {.2, .3, .05}).loss;
  };
  const at::Tensor logprob = Numbers(at_point).requires_grad_();
  loss(logprob).backward();
  constexpr double kStep = 1e-6;
  for (std::size_t i = 0; i < at_point.size(); ++i) {
    std::vector<double> up = at_point, down = at_point;
    up[i] += kStep;
    down[i] -= kStep;
    const double slope =
        (loss(Numbers(up)).item<double>() - loss(Numbers(down)).item<double>()) / (2 * kStep);
    EXPECT_NEAR(logprob.grad()[static_cast<std::int64_t>(i)].item<double>(), slope, 1e-8) << i;
  }
}

}  // namespace
}  // namespace aha::grpo
