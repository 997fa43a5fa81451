#include "policy/training/optimizer.h"

#include <cmath>
#include <limits>
#include <map>

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/policy/tiny_model.h"

namespace aha::policy {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr char kMatrix[] = "lm_head.weight";
constexpr char kVector[] = "model.norm.weight";

const at::Tensor& Parameter(const Policy& policy, const std::string& name) {
  for (const NamedTensor& p : policy.parameters()) {
    if (p.name == name) return p.value;
  }
  ADD_FAILURE() << name;
  return policy.parameters().front().value;
}

float First(const Policy& policy, const std::string& name) {
  return Parameter(policy, name).const_data_ptr<float>()[0];
}

void SetFirst(const Policy& policy, const std::string& name, float value) {
  const at::NoGradGuard no_grad;
  const_cast<at::Tensor&>(Parameter(policy, name)).mutable_data_ptr<float>()[0] = value;
}

// A gradient that is zero but in the first number of the named tensors.
GradientSum Gradient(Policy& policy, const std::map<std::string, float>& firsts) {
  for (const auto& [name, value] : firsts) {
    const at::Tensor& parameter = Parameter(policy, name);
    at::Tensor grad = at::zeros_like(parameter, at::kFloat);
    grad.mutable_data_ptr<float>()[0] = value;
    const_cast<at::Tensor&>(parameter).mutable_grad() = grad;
  }
  GradientSum sum(policy);
  sum.Collect(policy);
  return sum;
}

// First number of matrix and vector, both from 1, after each update.
struct Path {
  std::vector<float> matrix, vector;
  std::vector<double> norms;
};
Path Follow(const AdamWOptions& options, const std::vector<std::pair<float, float>>& gradients) {
  Policy policy = TinyPolicy();
  SetFirst(policy, kMatrix, 1);
  SetFirst(policy, kVector, 1);
  AdamW optimizer(policy, options);
  Path path;
  for (const auto& [matrix, vector] : gradients) {
    path.norms.push_back(
        optimizer.Step(policy, Gradient(policy, {{kMatrix, matrix}, {kVector, vector}}), .1));
    path.matrix.push_back(First(policy, kMatrix));
    path.vector.push_back(First(policy, kVector));
  }
  return path;
}

void ExpectNear(const std::vector<float>& got, const std::vector<double>& want) {
  ASSERT_EQ(got.size(), want.size());
  for (std::size_t i = 0; i < got.size(); ++i)
    EXPECT_NEAR(got[i], want[i], 5e-7) << "step " << i;
}

// Worked out in float64 from the paper's Algorithm 2: gradients 0.5, -1, 2 at a rate of 0.1, decay
// 0.1 on the matrix and none on the vector.
TEST(AdamWTest, EqualsTheHandComputedUpdates) {
  const Path path = Follow({.9, .95, 1e-8, .1, 0}, {{.5F, .5F}, {-1, -1}, {2, 2}});
  ExpectNear(path.matrix, {.890000002, .9174373966, .8670344185});
  ExpectNear(path.vector, {.900000002, .9363373966, .8951087924});
}

TEST(AdamWTest, DecaysMatricesWithoutAGradientAndNothingElse) {
  const Path path = Follow({.9, .95, 1e-8, .1, 0}, {{0, 0}, {0, 0}, {0, 0}});
  ExpectNear(path.matrix, {.99, .9801, .970299});
  EXPECT_THAT(path.vector, ElementsAre(1, 1, 1));
}

// (3, 4) and (0, -12) are scaled to a norm of 1, (0.3, 0.4) is left as it is.
TEST(AdamWTest, ClipsTheGlobalNorm) {
  const Path path = Follow({.9, .95, 1e-8, 0, 1}, {{3, 4}, {.3F, .4F}, {0, -12}});
  ExpectNear(path.matrix, {.9000000017, .8060706968, .7325242588});
  ExpectNear(path.vector, {.9000000013, .8060706959, .8056915899});
  EXPECT_NEAR(path.norms[0], 5, 1e-6);
  EXPECT_NEAR(path.norms[1], .5, 1e-6);
  EXPECT_NEAR(path.norms[2], 12, 1e-6);
}

TEST(AdamWTest, RestoredItGoesOnBitForBit) {
  const AdamWOptions options;
  Policy whole = TinyPolicy();
  AdamW straight(whole, options);
  straight.Step(whole, Gradient(whole, {{kMatrix, .5F}, {kVector, -1}}), .1);
  std::vector<NamedTensor> state;
  for (const NamedTensor& t : straight.State())
    state.push_back({t.name, t.value.clone()});
  straight.Step(whole, Gradient(whole, {{kMatrix, 2}}), .1);

  Policy resumed = TinyPolicy();
  AdamW again(resumed, options);
  ASSERT_TRUE(again.Restore(state, resumed));
  again.Step(resumed, Gradient(resumed, {{kMatrix, 2}}), .1);
  for (std::size_t i = 0; i < whole.parameters().size(); ++i) {
    EXPECT_TRUE(whole.parameters()[i].value.equal(resumed.parameters()[i].value));
  }
  const auto a = straight.State(), b = again.State();
  for (std::size_t i = 0; i < a.size(); ++i)
    EXPECT_TRUE(a[i].value.equal(b[i].value)) << a[i].name;
}

// In bf16 a step of a thousandth is lost on the weights; the masters keep it.
TEST(AdamWTest, MastersKeepWhatTheWeightsRoundAway) {
  PolicyConfig config = TinyConfig();
  config.dtype = NumberType::kBf16;
  Policy policy = TinyPolicy(config);
  {
    const at::NoGradGuard no_grad;
    const_cast<at::Tensor&>(Parameter(policy, kMatrix)).fill_(1);
  }
  AdamW optimizer(policy, {.9, .95, 1e-8, 0, 0});
  for (int k = 0; k < 8; ++k) {
    optimizer.Step(policy, Gradient(policy, {{kMatrix, 1}}), 1e-3);
    const float got = Parameter(policy, kMatrix)[0][0].item<float>();
    EXPECT_EQ(got, at::tensor(1 - 1e-3 * (k + 1), at::kFloat).to(at::kBFloat16).item<float>()) << k;
  }
  EXPECT_LT(Parameter(policy, kMatrix)[0][0].item<float>(), 1);
}

TEST(AdamWTest, AGradientThatIsNotFiniteChangesNothing) {
  Policy policy = TinyPolicy();
  AdamW optimizer(policy, {});
  const double norm = optimizer.Step(
      policy, Gradient(policy, {{kMatrix, std::numeric_limits<float>::infinity()}}), .1);
  EXPECT_FALSE(std::isfinite(norm));
  const Policy before = TinyPolicy();
  for (std::size_t i = 0; i < before.parameters().size(); ++i) {
    EXPECT_TRUE(before.parameters()[i].value.equal(policy.parameters()[i].value));
  }
  EXPECT_EQ(optimizer.State()[0].value.item<std::int64_t>(), 0);
}

TEST(AdamWTest, RefusesAStateThatIsNotItsOwn) {
  struct Row {
    const char* what;
    void (*spoil)(std::vector<NamedTensor>&);
    const char* message;
  };
  for (const Row& row :
       {Row{"missing", [](auto& s) { s.pop_back(); }, "lacks tensor adamw.second_moment"},
        Row{"shorter", [](auto& s) { s[1].value = s[1].value.slice(0, 1); }, "adamw.master"},
        Row{"another type", [](auto& s) { s[2].value = s[2].value.to(at::kBFloat16); },
            "adamw.first_moment"}}) {
    Policy policy = TinyPolicy();
    AdamW optimizer(policy, {});
    std::vector<NamedTensor> state = optimizer.State();
    row.spoil(state);
    const Status restored = optimizer.Restore(state, policy);
    ASSERT_FALSE(restored) << row.what;
    EXPECT_EQ(restored.error().code, Code::kCorrupt);
    EXPECT_THAT(restored.error().message, HasSubstr(row.message));
  }
}

struct RateCase {
  const char* name;
  Schedule schedule;
  std::vector<double> want;  // from update 0
};
class ScheduleTest : public testing::TestWithParam<RateCase> {};

TEST_P(ScheduleTest, GivesTheRates) {
  for (std::size_t i = 0; i < GetParam().want.size(); ++i) {
    EXPECT_NEAR(GetParam().schedule.At(static_cast<std::int64_t>(i)), GetParam().want[i], 1e-12)
        << i;
  }
}
// The cosine falls from 1 to 0.1 over 5 updates: 0.1 + 0.45 (1 + cos(pi i / 4)).
INSTANTIATE_TEST_SUITE_P(
    Table,
    ScheduleTest,
    testing::Values(
        RateCase{"Constant", {2, 0, false, .1, 5}, {2, 2, 2, 2, 2}},
        RateCase{"WarmUp", {2, 4, false, .1, 6}, {.5, 1, 1.5, 2, 2, 2}},
        RateCase{"Cosine", {1, 0, true, .1, 5}, {1, .868198051533946, .55, .231801948466054, .1}},
        RateCase{"CosineAfterWarmUp",
                 {1, 2, true, .1, 7},
                 {.5, 1, 1, .868198051533946, .55, .231801948466054, .1}},
        RateCase{"BeyondTheEnd", {1, 0, true, .1, 3}, {1, .55, .1, .1}},
        RateCase{"OneUpdate", {1, 0, true, .1, 1}, {1}}),
    [](const auto& p) { return std::string(p.param.name); });

TEST(GateBiasTest, MovesTowardsBalance) {
  Policy policy = TinyPolicy();
  const at::Tensor bias = policy.gate_biases().at(0);
  const at::Tensor before = bias.clone();
  UpdateGateBiases(policy, {at::tensor({6, 2, 4, 4, 4, 4, 4, 4}, at::kLong)}, .001);
  const at::Tensor moved = bias - before;
  const double want[] = {-.001, .001, 0, 0, 0, 0, 0, 0};
  for (int e = 0; e < 8; ++e)
    EXPECT_NEAR(moved[e].item<double>(), want[e], 1e-8) << e;
}

TEST(GateBiasTest, MaxViolationIsTheWorstLayers) {
  EXPECT_DOUBLE_EQ(MaxViolation({at::tensor({4, 4, 4, 4}, at::kLong)}), 0);
  EXPECT_DOUBLE_EQ(
      MaxViolation({at::tensor({4, 4, 4, 4}, at::kLong), at::tensor({6, 2, 4, 4}, at::kLong)}), .5);
  EXPECT_DOUBLE_EQ(MaxViolation({}), 0);
}

TEST(MicroBatchTest, CutsLongestFirstWithinTheBudget) {
  EXPECT_THAT(CutMicroBatches({3, 9, 4, 4, 20}, 12),
              ElementsAre(ElementsAre(4), ElementsAre(1), ElementsAre(2, 3, 0)));
  EXPECT_THAT(CutMicroBatches({2, 2, 2}, 1),
              ElementsAre(ElementsAre(0), ElementsAre(1), ElementsAre(2)));
  EXPECT_THAT(CutMicroBatches({}, 8), ElementsAre());
}

}  // namespace
}  // namespace aha::policy
