#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "policy/reference/experts_ops.h"
#include "tests/policy/reference/tiny_model.h"

namespace aha::policy::reference {
namespace {

// With an identity gate the logits are the input.
kernels::Routing RouteLogits(std::vector<float> logits,
                             std::vector<float> bias,
                             kernels::GateRule rule) {
  const auto n = static_cast<std::int64_t>(logits.size());
  return kernels::Route(at::tensor(logits).view({1, n}), kernels::PackedMatrix(at::eye(n)),
                        bias.empty() ? at::Tensor() : at::tensor(bias), rule);
}

struct GateCase {
  const char* name;
  std::vector<float> logits, bias;
  kernels::GateRule rule;
  std::vector<std::int64_t> experts;  // sorted
  std::vector<double> weights;        // in that order; empty: not checked
};

class GateTest : public testing::TestWithParam<GateCase> {};

TEST_P(GateTest, ChoosesAndWeighsAsWorkedOut) {
  const GateCase& c = GetParam();
  const kernels::Routing routing = RouteLogits(c.logits, c.bias, c.rule);
  const auto [sorted, order] = routing.experts_TK[0].sort();
  for (std::size_t i = 0; i < c.experts.size(); ++i) {
    const auto slot = static_cast<std::int64_t>(i);
    EXPECT_EQ(sorted[slot].item<std::int64_t>(), c.experts[i]);
    if (!c.weights.empty()) {
      EXPECT_NEAR(routing.weights_TK[0][order[slot].item<std::int64_t>()].item<double>(),
                  c.weights[i], 1e-6);
    }
  }
}

const std::vector<float> kLogits = {2, -1, 1.5, 1.4, .5, .4, -2, 3};
INSTANTIATE_TEST_SUITE_P(
    Table,
    GateTest,
    testing::Values(GateCase{"Biased",
                             kLogits,
                             {-.3F, 0, .1F, .1F, 0, .2F, 0, -.4F},
                             {3, 4, 2, true, 2.5},
                             {2, 3, 5},
                             {.9213369, .903993, .6746701}},
                    GateCase{"Unbiased",
                             kLogits,
                             std::vector<float>(8, 0),
                             {3, 4, 2, true, 2.5},
                             {2, 3, 4},
                             {.911569, .894409, .694022}},
                    // Dropped groups must be -inf: with 0 they would beat negative biased scores.
                    GateCase{"MaskTrap",
                             {-2, -2, -3, -3},
                             {.5F, -.4F, -.6F, -.6F},
                             {2, 2, 1, true, 1},
                             {0, 1},
                             {}},
                    GateCase{"TiesGoToTheLowest",
                             {1, 1, 1, 1},
                             {0, 0, 0, 0},
                             {2, 1, 1, true, 1},
                             {0, 1},
                             {.5, .5}},
                    // Softmax over e^x = 1, 2, 3, 4: of all experts, or of those chosen.
                    GateCase{"Softmax",
                             {0, .6931472F, 1.0986123F, 1.3862944F},
                             {},
                             {2, 1, 1, false, 1, true},
                             {2, 3},
                             {.3, .4}},
                    GateCase{"SoftmaxNormalised",
                             {0, .6931472F, 1.0986123F, 1.3862944F},
                             {},
                             {2, 1, 1, true, 1, true},
                             {2, 3},
                             {3. / 7, 4. / 7}},
                    // By their best expert the first group wins (5 of 11), by the sum of two the
                    // second would (3 + 2.5).
                    GateCase{"BestExpertOfAGroup",
                             {1.6094379F, -.6931472F, 1.0986123F, .9162907F},
                             {},
                             {1, 2, 1, false, 16, true, 1},
                             {0},
                             {16 * 5. / 11}},
                    GateCase{"BestTwoOfAGroup",
                             {1.6094379F, -.6931472F, 1.0986123F, 1.0986123F},
                             {},
                             {1, 2, 1, false, 1, true, 2},
                             {2},
                             {3. / 11.5}}),
    [](const auto& p) { return std::string(p.param.name); });

TEST(BalanceTest, LossEqualsTheWorkedValue) {
  const at::Tensor scores = at::tensor({.9F, .6F, .3F, .2F, .8F, .1F, .7F, .4F}).view({2, 4});
  const at::Tensor loss = kernels::BalanceLoss(scores, 2, at::zeros({2}, at::kLong), {2});
  EXPECT_NEAR(loss.item<double>(), 1.275, 1e-6);
}

TEST(BalanceTest, SequencesAreBalancedEachByItself) {
  const at::Tensor scores = at::tensor({.9F, .6F, .3F, .2F, .8F, .1F, .7F, .4F}).view({2, 4});
  const auto one = [&](int row) {
    return kernels::BalanceLoss(scores.slice(0, row, row + 1), 2, at::zeros({1}, at::kLong), {1})
        .item<double>();
  };
  const double both =
      kernels::BalanceLoss(scores, 2, at::tensor({0, 1}, at::kLong), {1, 1}).item<double>();
  EXPECT_NEAR(both, one(0) + one(1), 1e-6);
}

}  // namespace
}  // namespace aha::policy::reference
