#include "policy/training/update.h"

#include <limits>

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/policy/tiny_model.h"

namespace aha::policy {
namespace {

using testing::HasSubstr;

const AdamWOptions kPlain{.9, .95, 1e-8, 0, 0};

// Half the sum of squares of a parameter's numbers: its gradient is the parameter.
MicroLoss HalfSquares(const Policy& policy, std::size_t parameter, double scale) {
  MicroLoss out;
  out.loss = policy.parameters()[parameter].value.square().sum() * (.5 * scale);
  return out;
}

TEST(UpdateTest, AddsUpGradientsOfAllMicroBatches) {
  Policy policy = TinyPolicy();
  const double norm = policy.parameters()[2].value.norm().item<double>();
  Update update(policy, kPlain, 0, 2);
  ASSERT_TRUE(update.Accumulate(10, [](const Policy& p, std::size_t m) {
    return HalfSquares(p, 2, static_cast<double>(m));
  }));
  const auto report = update.Finish(1e-3);
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_NEAR(report->gradient_norm, 45 * norm, 1e-4 * norm);  // 0 + 1 + ... + 9

  // The sum is cleared: the next update starts from nothing.
  ASSERT_TRUE(
      update.Accumulate(1, [](const Policy& p, std::size_t) { return HalfSquares(p, 2, 0); }));
  EXPECT_EQ(update.Finish(1e-3)->gradient_norm, 0);
}

TEST(UpdateTest, AGradientThatIsNotFiniteNamesItsTensor) {
  Policy policy = TinyPolicy();
  const Policy before = TinyPolicy();
  for (const std::size_t bad : {std::size_t{0}, std::size_t{5}, policy.parameters().size() - 1}) {
    Update update(policy, kPlain, .001, 1);
    ASSERT_TRUE(update.Accumulate(3, [&](const Policy& p, std::size_t m) {
      MicroLoss out = HalfSquares(p, 3, 1);
      out.trace.expert_load = {at::tensor({6, 2, 4, 4, 4, 4, 4, 4}, at::kLong)};
      if (m == 1) {
        out.loss =
            out.loss + p.parameters()[bad].value.sum() * std::numeric_limits<double>::infinity();
      }
      return out;
    }));
    const auto report = update.Finish(1e-3);
    ASSERT_FALSE(report);
    EXPECT_THAT(report.error().message, HasSubstr("gradient of " + policy.parameters()[bad].name));
    EXPECT_THAT(report.error().message, HasSubstr("not finite"));
    for (std::size_t i = 0; i < before.parameters().size(); ++i) {
      EXPECT_TRUE(before.parameters()[i].value.equal(policy.parameters()[i].value));
    }
    EXPECT_TRUE(before.gate_biases()[0].equal(policy.gate_biases()[0]));
  }
}

TEST(UpdateTest, ExpertLoadIsTheWholeUpdates) {
  Policy policy = TinyPolicy();
  const at::Tensor before = policy.gate_biases()[0].clone();
  Update update(policy, kPlain, .001, 2);
  ASSERT_TRUE(update.Accumulate(6, [](const Policy& p, std::size_t m) {
    MicroLoss out = HalfSquares(p, 3, 1);
    // Each micro-batch is out of balance on its own; in all, expert 0 has 9 and the others 3 each.
    at::Tensor load = at::zeros({8}, at::kLong);
    for (std::size_t e = 0; e < 8; ++e)
      load[static_cast<std::int64_t>(e)] = e % 2 == m % 2 ? 1 : 0;
    if (m == 0) load[0] += 6;
    out.trace.expert_load = {load};
    return out;
  }));
  const auto report = update.Finish(1e-3);
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_NEAR(report->max_violation, (9 - 30. / 8) / (30. / 8), 1e-12);
  const at::Tensor moved = policy.gate_biases()[0] - before;
  for (int e = 0; e < 8; ++e)
    EXPECT_NEAR(moved[e].item<double>(), e == 0 ? -.001 : .001, 1e-8) << e;
}

TEST(UpdateTest, AnErrorInAMicroBatchIsTheUpdates) {
  Policy policy = TinyPolicy();
  Update update(policy, kPlain, 0, 2);
  const Status done = update.Accumulate(4, [](const Policy& p, std::size_t m) {
    if (m == 2) throw std::runtime_error("no such thing");
    return HalfSquares(p, 0, 1);
  });
  ASSERT_FALSE(done);
  EXPECT_THAT(done.error().message, HasSubstr("no such thing"));
}

TEST(TargetsTest, AreTheTokensFromTheFirstOnAndTheRowsBefore) {
  const Targets targets = TargetsFrom({{5, 6, 7}, {8, 9}, {10}}, {0, 1, 1});
  EXPECT_TRUE(targets.row_N.equal(at::tensor({0, 1, 3}, at::kLong)));
  EXPECT_TRUE(targets.token_N.equal(at::tensor({6, 7, 9}, at::kLong)));
  EXPECT_EQ(targets.sequence_N, (std::vector<std::size_t>{0, 0, 1}));
}

TEST(TargetsTest, MtpCountsWhatIsTwoAhead) {
  EXPECT_EQ(CountMtpTargets(5, 1), 3);
  EXPECT_EQ(CountMtpTargets(5, 3), 2);
  EXPECT_EQ(CountMtpTargets(5, 5), 0);
  EXPECT_EQ(CountMtpTargets(1, 1), 0);
}

}  // namespace
}  // namespace aha::policy
