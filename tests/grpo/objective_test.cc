#include "grpo/objective.h"

#include <cmath>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/grpo/golden_objectives.h"

namespace aha::grpo {
namespace {

using golden::Batch;
using golden::Golden;
using golden::Json;
using golden::Rows;
using golden::RuleOf;

class GoldenObjectiveTest : public testing::TestWithParam<std::size_t> {};

void Expect(const Json& want, double loss, const Rows& slopes, double tolerance) {
  EXPECT_NEAR(loss, want["loss"].get<double>(), tolerance);
  const Rows slope = want["slope"].get<Rows>();
  for (std::size_t i = 0; i < slope.size(); ++i) {
    for (std::size_t t = 0; t < slope[i].size(); ++t)
      EXPECT_NEAR(slopes[i][t], slope[i][t], tolerance) << i << "," << t;
  }
}

TEST_P(GoldenObjectiveTest, EqualsAutogradAndTrl) {
  const Json& c = Golden()["cases"][GetParam()];
  Rows slopes;
  const Batch<double> batch(c["rule"].value("per_token", false));
  const double loss = batch.Evaluate(RuleOf(c["rule"]), slopes);
  Expect(c, loss, slopes, 1e-12);
  if (c.contains("trl")) Expect(c["trl"], loss, slopes, 1e-12);
}

TEST_P(GoldenObjectiveTest, InFloat32ItIsAsFarOffAsItsNumbers) {
  const Json& c = Golden()["cases"][GetParam()];
  std::vector<std::vector<float>> slopes;
  const Batch<float> batch(c["rule"].value("per_token", false));
  const double loss = batch.Evaluate(RuleOf(c["rule"]), slopes);
  Rows wide;
  for (const auto& row : slopes)
    wide.emplace_back(row.begin(), row.end());
  Expect(c, loss, wide, 2e-6);
}

// Where the loss is what is differentiated: CISPO's weight and GSPO-token's value, masks and
// truncated weights are constants that differences would move.
TEST_P(GoldenObjectiveTest, SlopesAreTheLossesDifferences) {
  const Json& c = Golden()["cases"][GetParam()];
  const ObjectiveRule rule = RuleOf(c["rule"]);
  if (rule.clip == Clip::kWeight || rule.ratio == Ratio::kSequenceToken)
    GTEST_SKIP() << "has constants that depend on log pi";
  Batch<double> batch(c["rule"].value("per_token", false));
  Rows slopes, ignored;
  batch.Evaluate(rule, slopes);
  constexpr double kStep = 1e-6;
  for (std::size_t i = 0; i < slopes.size(); ++i) {
    for (std::size_t t = 0; t < slopes[i].size(); ++t) {
      double& x = batch.logprob[i][t];
      const double at = x;
      x = at + kStep;
      const double up = batch.Evaluate(rule, ignored);
      x = at - kStep;
      const double down = batch.Evaluate(rule, ignored);
      x = at;
      EXPECT_NEAR(slopes[i][t], (up - down) / (2 * kStep), 2e-8) << i << "," << t;
    }
  }
}
INSTANTIATE_TEST_SUITE_P(Cases,
                         GoldenObjectiveTest,
                         testing::Range(std::size_t{0}, Golden()["cases"].size()),
                         [](const auto& p) {
                           return Golden()["cases"][p.param]["name"].template get<std::string>();
                         });

// ---- Worked values.

ObjectiveSums One(const ObjectiveRule& rule,
                  const std::vector<double>& log_ratio,
                  double advantage,
                  std::vector<double>* slopes = nullptr,
                  const std::vector<double>& reference = {},
                  const std::vector<double>& sampler = {}) {
  const std::vector<double> old(log_ratio.size(), 0);
  std::vector<double> slope(log_ratio.size());
  CompletionView<double> c;
  c.logprob_T = log_ratio;
  c.old_T = old;
  c.reference_T = reference;
  c.sampler_T = sampler;
  c.advantage = advantage;
  const ObjectiveSums sums =
      Objective<double>(rule, c, {1, static_cast<double>(log_ratio.size())}, slope);
  if (slopes != nullptr) *slopes = slope;
  return sums;
}

TEST(K3Test, EqualsTheWorkedValues) {
  const double d[] = {-1, -.2, 0, .2, 1};
  const double want[] = {.36787944, .01873075, 0, .02140276, .71828183};
  for (int i = 0; i < 5; ++i)
    EXPECT_NEAR(KlOf(KlEstimate::kK3, d[i]).value, want[i], 6e-9) << i;
  EXPECT_NEAR(KlOf(KlEstimate::kK3, .2).slope, -.22140276, 6e-9);
  EXPECT_EQ(KlOf(KlEstimate::kK1, .2).value, -.2);
  EXPECT_NEAR(KlOf(KlEstimate::kK2, .2).value, .02, 1e-15);
}

struct ClipCase {
  const char* name;
  double epsilon, ratio, advantage;
  double want;      // min(rho A, clip(rho) A)
  double gradient;  // of it, with respect to log pi
  char side;        // which of the counts it enters
};
void PrintTo(const ClipCase& c, std::ostream* os) {
  *os << c.name;
}
constexpr ClipCase kClips[] = {
    {"BelowGood", .2, .7, 1, .7, .7, '-'},       {"BelowBad", .2, .7, -1, -.8, 0, 'l'},
    {"AboveGood", .2, 1.3, 1, 1.2, 0, 'h'},      {"AboveBad", .2, 1.3, -1, -1.3, -1.3, '-'},
    {"InsideGood", .2, 1.1, 1, 1.1, 1.1, '-'},   {"InsideBad", .2, .9, -1, -.9, -.9, '-'},
    {"WideBelowBad", 10, .7, -1, -.7, -.7, '-'}, {"WideAboveGood", 10, 12, 1, 11, 0, 'h'},
    {"WideAboveBad", 10, 12, -1, -12, -12, '-'}, {"NoAdvantage", .2, 3, 0, 0, 0, '-'},
};
class ClipTest : public testing::TestWithParam<ClipCase> {};
TEST_P(ClipTest, EqualsTheWorkedValues) {
  const ClipCase& c = GetParam();
  ObjectiveRule rule;
  rule.clip_low = rule.clip_high = c.epsilon;
  std::vector<double> slope;
  const ObjectiveSums sums = One(rule, {std::log(c.ratio)}, c.advantage, &slope);
  EXPECT_NEAR(sums.loss, -c.want, 1e-12);
  EXPECT_NEAR(slope[0], -c.gradient, 1e-12);
  EXPECT_NEAR(sums.ratio_max, c.ratio, 1e-12);
  EXPECT_EQ(sums.clipped_low, c.side == 'l' ? 1 : 0);
  EXPECT_EQ(sums.clipped_high, c.side == 'h' ? 1 : 0);
}
INSTANTIATE_TEST_SUITE_P(Table, ClipTest, testing::ValuesIn(kClips), [](const auto& p) {
  return std::string(p.param.name);
});

struct ReductionCase {
  Aggregation how;
  double want;
};
TEST(ReductionTest, EqualsTheWorkedValues) {
  for (const auto& [how, want] :
       {ReductionCase{Aggregation::kSequence, 0}, ReductionCase{Aggregation::kToken, 1. / 3},
        ReductionCase{Aggregation::kSequenceSum, 1}, ReductionCase{Aggregation::kConstant, .125}}) {
    ObjectiveRule rule;
    rule.aggregation = how;
    rule.length = 8;
    const std::vector<double> zeros(4, 0);
    std::vector<double> slope(4);
    double loss = 0;
    Denominators denominators;
    denominators.Add(rule, 2, false);
    denominators.Add(rule, 4, false);
    for (const auto& [length, advantage] : {std::pair<std::size_t, double>{2, 1}, {4, -1}}) {
      CompletionView<double> c;
      c.logprob_T = c.old_T = std::span(zeros).first(length);
      c.advantage = advantage;
      loss += Objective<double>(rule, c, denominators, std::span(slope).first(length)).loss;
    }
    EXPECT_NEAR(loss, want, 1e-12);
  }
}

TEST(RatioTest, OfASequenceIsTheMeansExponential) {
  ObjectiveRule rule;
  rule.ratio = Ratio::kSequence;
  EXPECT_NEAR(One(rule, {.1, -.2, .3}, 1).ratio_max, 1.0689391, 5e-8);
  rule.ratio = Ratio::kProduct;
  EXPECT_NEAR(One(rule, {.1, -.2, .3}, 1).ratio_max, std::exp(.2), 1e-12);
}

TEST(OffPolicyTest, TruncatedWeightsEqualTheWorkedValues) {
  ObjectiveRule rule;
  rule.off_policy = OffPolicy::kTruncate;
  for (const auto& [old, sampler, want] :
       {std::tuple{-1., -1.5, 1.6487213}, std::tuple{-.5, -1.5, 2.},
        std::tuple{-2., -1.5, .6065307}}) {
    const std::vector<double> o = {old}, s = {sampler};
    std::vector<double> slope(1);
    CompletionView<double> c;
    c.logprob_T = c.old_T = o;
    c.sampler_T = s;
    c.advantage = 1;
    const ObjectiveSums sums = Objective<double>(rule, c, {1, 1}, slope);
    EXPECT_NEAR(-sums.loss, want, 5e-8);
    EXPECT_NEAR(-slope[0], want, 5e-8);
  }
}

// ---- Bad input.

TEST(ObjectiveTest, EmptyCompletionsHaveNoLoss) {
  EXPECT_EQ(One({}, {}, 1).loss, 0);
}

TEST(ObjectiveTest, BatchOfNothingButTruncatedHasNoLossAndNoSlope) {
  for (const Aggregation how : {Aggregation::kSequence, Aggregation::kToken,
                                Aggregation::kSequenceSum, Aggregation::kConstant}) {
    ObjectiveRule rule;
    rule.mask_truncated = true;
    rule.aggregation = how;
    rule.kl = .1;
    const std::vector<float> x = {-1, -2}, reference = {-2, -1};
    std::vector<float> slope = {7, 7};
    Denominators denominators;
    denominators.Add(rule, 2, true);
    const ObjectiveSums sums =
        Objective<float>(rule, {x, x, reference, {}, 1, {}, true}, denominators, slope);
    EXPECT_EQ(sums.loss, 0);
    EXPECT_EQ(sums.masked, 1);
    EXPECT_EQ(slope, std::vector<float>(2, 0));
  }
}

TEST(ObjectiveTest, FarRatiosStayFinite) {
  for (const Ratio ratio :
       {Ratio::kToken, Ratio::kSequence, Ratio::kSequenceToken, Ratio::kProduct}) {
    ObjectiveRule rule;
    rule.ratio = ratio;
    rule.kl = .1;
    const std::vector<float> x = {-.1F, -.1F}, old = {-3000, -3000}, reference = {-1, 2000};
    std::vector<float> slope(2);
    const ObjectiveSums sums =
        Objective<float>(rule, {x, old, reference, {}, -1, {}, false}, {1, 2}, slope);
    EXPECT_TRUE(std::isfinite(sums.loss));
    EXPECT_TRUE(std::isfinite(slope[0]) && std::isfinite(slope[1]));
  }
}

TEST(ObjectiveTest, NanComesOutAsNan) {
  EXPECT_TRUE(std::isnan(One({}, {0, std::nan("")}, 1).loss));
}

TEST(ObjectiveTest, WithoutAdvantageAndKlThereIsNothing) {
  std::vector<double> slope;
  EXPECT_EQ(One({}, {.5, -.5}, 0, &slope).loss, 0);
  EXPECT_EQ(slope, std::vector<double>(2, 0));
}

}  // namespace
}  // namespace aha::grpo
