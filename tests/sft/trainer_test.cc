#include "sft/trainer.h"

#include <cmath>

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/policy/reference/tiny_model.h"

namespace aha::sft {
namespace {

using policy::Differing;
using policy::TinyWeights;
using policy::Weights;
using testing::HasSubstr;
using testing::IsEmpty;
namespace reference = policy::reference;

const policy::cpu::Cpu kCpu(policy::cpu::ChooseKernelTarget().value(), 2);

const Example kWhole{{1, 5, 9, 3, 14}, 1};
const Example kMasked{{1, 5, 9, 3, 14}, 3};
const std::vector<Example> kMany = {kWhole,
                                    {{7, 2}, 1},
                                    kMasked,
                                    {{4, 4, 8, 10, 11, 6, 0}, 4},
                                    {{2, 13, 12}, 2}};

// Only the loss: no balance, no bias, no decay.
TrainerOptions Options() {
  TrainerOptions options;
  options.adamw.weight_decay = 0;
  options.adamw.clip_norm = 0;
  options.bias_rate = 0;
  options.balance_loss = 0;
  return options;
}

// Sum of -log P of an example's targets, worked out by softmax over the logits of one pass.
double NllSum(const reference::Policy& policy, const Example& example) {
  const at::NoGradGuard no_grad;
  const at::Tensor hidden = policy.Forward(reference::PackSequences({example.ids}));
  const at::Tensor logits = reference::kernels::Logits(hidden, policy.head()).to(at::kDouble);
  double sum = 0;
  for (std::int64_t i = std::max<std::int64_t>(1, example.loss_from);
       i < static_cast<std::int64_t>(example.ids.size()); ++i) {
    const at::Tensor row = logits[i - 1];
    sum += (row.exp().sum().log() - row[example.ids[static_cast<std::size_t>(i)]]).item<double>();
  }
  return sum;
}

std::int64_t TargetCount(const Example& example) {
  return static_cast<std::int64_t>(example.ids.size()) -
         std::max<std::int64_t>(1, example.loss_from);
}

TrainReport StepOn(Weights& weights,
                   const TrainerOptions& options,
                   const std::vector<Example>& batch,
                   double rate = 1e-2) {
  Trainer trainer(weights, kCpu, options);
  const auto report = trainer.Step(batch, rate);
  EXPECT_TRUE(report) << report.error().message;
  return report.value_or(TrainReport());
}

TEST(TrainerTest, LossAndGradientNormEqualTheIndependentReference) {
  Weights weights = TinyWeights();
  const TrainReport report = StepOn(weights, Options(), {kWhole});
  EXPECT_NEAR(report.loss, 3.3380893, 2e-6);
  EXPECT_NEAR(report.update.gradient_norm, 12.31021, 1e-4);
  EXPECT_EQ(report.tokens, 4);
}

TEST(TrainerTest, LossIsTheMeanOverAllTargetsHoweverItIsCut) {
  double sum = 0;
  std::int64_t targets = 0;
  for (const Example& e : kMany) {
    sum += NllSum(reference::TinyPolicy(), e);
    targets += TargetCount(e);
  }
  std::vector<double> losses, norms;
  for (const std::int64_t budget : {1, 8, 4096}) {
    Weights weights = TinyWeights();
    TrainerOptions options = Options();
    options.micro_batch_tokens = budget;
    const TrainReport report = StepOn(weights, options, kMany);
    EXPECT_NEAR(report.loss, sum / static_cast<double>(targets), 1e-5) << budget;
    EXPECT_EQ(report.tokens, targets);
    losses.push_back(report.loss);
    norms.push_back(report.update.gradient_norm);
    EXPECT_NEAR(EvaluateLoss(TinyWeights(), kCpu, kMany, budget).value(),
                sum / static_cast<double>(targets), 1e-5);
  }
  EXPECT_THAT(losses, testing::Each(losses.front()));  // bit for bit
  EXPECT_THAT(norms, testing::Each(norms.front()));
}

TEST(TrainerTest, PackedExamplesDoNotSeeEachOther) {
  const Weights weights = TinyWeights();
  double sum = 0, targets = 0;
  for (const Example& e : kMany) {
    const double alone = EvaluateLoss(weights, kCpu, {e}, 4096).value();
    sum += alone * static_cast<double>(TargetCount(e));
    targets += static_cast<double>(TargetCount(e));
  }
  EXPECT_NEAR(EvaluateLoss(weights, kCpu, kMany, 4096).value(), sum / targets, 1e-5);
}

TEST(TrainerTest, PromptTokensAreReadButNotLearned) {
  reference::Policy direct = reference::TinyPolicy();
  direct.RequireGrad(true);
  const at::Tensor hidden = direct.Forward(reference::PackSequences({kMasked.ids}));
  const at::Tensor loss = -reference::kernels::LogprobsOf(hidden.slice(0, 2, 4), direct.head(),
                                                          at::tensor({3, 14}, at::kLong), 1, false)
                               .logprob_T.mean();
  loss.backward();
  double squares = 0;
  for (const reference::NamedTensor& p : direct.parameters()) {
    if (p.value.grad().defined()) squares += std::pow(p.value.grad().norm().item<double>(), 2);
  }
  Weights weights = TinyWeights();
  const TrainReport report = StepOn(weights, Options(), {kMasked});
  EXPECT_EQ(report.tokens, 2);
  EXPECT_NEAR(report.loss, loss.item<double>(), 1e-6);
  EXPECT_NEAR(report.update.gradient_norm, std::sqrt(squares), 1e-5 * std::sqrt(squares));
}

TEST(TrainerTest, AnExampleThatIsAllPromptAddsNothing) {
  Weights with = TinyWeights();
  TrainerOptions options = Options();
  options.micro_batch_tokens = 1;
  Weights without = TinyWeights();
  const TrainReport a = StepOn(with, options, {kWhole, {{7, 2, 2}, 3}});
  const TrainReport b = StepOn(without, options, {kWhole});
  EXPECT_EQ(a.tokens, b.tokens);
  EXPECT_NEAR(a.loss, b.loss, 1e-7);
  EXPECT_NEAR(a.update.gradient_norm, b.update.gradient_norm, 1e-6);
}

TEST(TrainerTest, NeitherThreadsNorMicroBatchesChangeABit) {
  policy::PolicyConfig config = policy::TinyConfig();
  config.num_nextn_predict_layers = 1;
  TrainerOptions options;
  options.micro_batch_tokens = 4096;
  options.mtp_loss = .3;
  Weights one = TinyWeights(config), two = TinyWeights(config);
  const policy::cpu::Cpu single(kCpu.target(), 1);
  Trainer alone(one, single, options);
  options.micro_batch_tokens = 1;
  Trainer together(two, kCpu, options);
  for (int k = 0; k < 3; ++k) {
    const auto a = alone.Step(kMany, 1e-2);
    const auto b = together.Step(kMany, 1e-2);
    ASSERT_TRUE(a && b);
    EXPECT_EQ(a->loss, b->loss);
    EXPECT_EQ(a->update.gradient_norm, b->update.gradient_norm);
    EXPECT_NEAR(a->mtp_loss, b->mtp_loss, 1e-12);
  }
  EXPECT_THAT(Differing(one, two), IsEmpty());
}

TEST(TrainerTest, LearnsWhatItIsShown) {
  Weights weights = TinyWeights();
  Trainer trainer(weights, kCpu, Options());
  const double before = EvaluateLoss(weights, kCpu, kMany, 4096).value();
  for (int k = 0; k < 20; ++k)
    ASSERT_TRUE(trainer.Step(kMany, 1e-2));
  EXPECT_LT(EvaluateLoss(weights, kCpu, kMany, 4096).value(), .5 * before);
}

TEST(TrainerTest, TheMtpLossIsOnTokensTwoAhead) {
  policy::PolicyConfig config = policy::TinyConfig();
  config.num_nextn_predict_layers = 1;
  Weights weights = TinyWeights(config);
  double want = 0;
  {
    const at::NoGradGuard no_grad;
    const reference::Policy direct = reference::TinyPolicy(config);
    const reference::RaggedBatch batch = reference::PackSequences({kMasked.ids});
    const at::Tensor hidden = direct.ForwardMtp(batch, direct.Forward(batch), false).hidden_MH;
    // Rows 1 and 2 predict tokens 3 and 4; row 0 predicts token 2, which is prompt.
    want = -reference::kernels::LogprobsOf(hidden.slice(0, 1, 3), direct.head(),
                                           at::tensor({3, 14}, at::kLong), 1, false)
                .logprob_T.mean()
                .item<double>();
  }
  TrainerOptions options = Options();
  options.mtp_loss = .1;
  EXPECT_NEAR(StepOn(weights, options, {kMasked}).mtp_loss, want, 1e-5);
}

struct RefusalCase {
  const char* name;
  Example example;
  const char* message;
};
class TrainerRefusalTest : public testing::TestWithParam<RefusalCase> {};

TEST_P(TrainerRefusalTest, NamesWhatIsWrongAndLeavesTheWeightsAlone) {
  Weights weights = TinyWeights();
  Trainer trainer(weights, kCpu, Options());
  const auto report = trainer.Step({GetParam().example}, 1e-2);
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().code, Code::kInvalidArgument);
  EXPECT_THAT(report.error().message, HasSubstr(GetParam().message));
  const auto evaluated = EvaluateLoss(weights, kCpu, {GetParam().example}, 64);
  ASSERT_FALSE(evaluated);
  EXPECT_EQ(evaluated.error().message, report.error().message);
  EXPECT_THAT(Differing(weights, TinyWeights()), IsEmpty());
}
INSTANTIATE_TEST_SUITE_P(
    Table,
    TrainerRefusalTest,
    testing::Values(RefusalCase{"IdTooLarge", {{1, 16}, 1}, "token id 16 is outside"},
                    RefusalCase{"IdNegative", {{1, -2}, 1}, "token id -2 is outside"},
                    RefusalCase{"TooLong", {std::vector<std::int32_t>(257, 1), 1}, "takes 256"},
                    RefusalCase{"AllPrompt", {{1, 2, 3}, 3}, "nothing to predict"},
                    RefusalCase{"OneToken", {{1}, 1}, "nothing to predict"}),
    [](const auto& p) { return std::string(p.param.name); });

}  // namespace
}  // namespace aha::sft
