#include "grpo/learner.h"

#include <cmath>

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/policy/tiny_model.h"

namespace aha::grpo {
namespace {

using policy::NamedTensor;
using policy::Policy;
using testing::HasSubstr;

constexpr double kRate = 2e-3;

std::vector<float> LogprobsOf(const Policy& policy, const Sample& s, double temperature = 1) {
  const at::NoGradGuard no_grad;
  std::vector<std::int32_t> ids = s.prompt;
  ids.insert(ids.end(), s.completion.begin(), s.completion.end());
  const policy::Targets targets =
      policy::TargetsFrom({ids}, {static_cast<std::int64_t>(s.prompt.size())});
  const at::Tensor hidden = policy.Forward(policy::PackSequences({ids}));
  const at::Tensor logprob =
      policy::kernels::LogprobsOf(hidden.index_select(0, targets.row_N), policy.head(),
                                  targets.token_N, temperature, false)
          .logprob_T.contiguous();
  return {logprob.const_data_ptr<float>(), logprob.const_data_ptr<float>() + logprob.numel()};
}

double Sum(const std::vector<float>& values) {
  double sum = 0;
  for (const float v : values)
    sum += v;
  return sum;
}

// Completions of lengths 2 and 4 with opposite advantages, and two more.
std::vector<Sample> Samples(const Policy& policy) {
  std::vector<Sample> samples = {{{1, 5}, {9, 3}, {}, 1},
                                 {{1, 5}, {2, 7, 7, 14}, {}, -1},
                                 {{4, 4, 8}, {6, 0, 11}, {}, .5},
                                 {{4, 4, 8}, {10}, {}, -.5}};
  for (Sample& s : samples)
    s.rollout_logprobs = LogprobsOf(policy, s);
  return samples;
}

// Only the objective: no balance, no clipping of gradients, no decay.
LearnerOptions Options() {
  LearnerOptions options;
  options.adamw.weight_decay = 0;
  options.bias_rate = 0;
  options.balance_loss = 0;
  return options;
}

void ExpectSameBits(const Policy& a, const Policy& b) {
  for (std::size_t i = 0; i < a.parameters().size(); ++i) {
    EXPECT_TRUE(a.parameters()[i].value.equal(b.parameters()[i].value)) << a.parameters()[i].name;
  }
  for (std::size_t i = 0; i < a.buffers().size(); ++i) {
    EXPECT_TRUE(a.buffers()[i].value.equal(b.buffers()[i].value)) << a.buffers()[i].name;
  }
}

bool SameBits(const Policy& a, const Policy& b) {
  for (std::size_t i = 0; i < a.parameters().size(); ++i) {
    if (!a.parameters()[i].value.equal(b.parameters()[i].value)) return false;
  }
  return true;
}

// Trains a fresh tiny policy on the samples for a few steps.
Policy Trained(const LearnerOptions& options,
               const std::vector<Sample>& samples,
               int steps = 1,
               const Policy* reference = nullptr) {
  Policy policy = policy::TinyPolicy();
  Learner learner(policy, options);
  for (int k = 0; k < steps; ++k) {
    const auto report = learner.Step(samples, reference, kRate);
    EXPECT_TRUE(report) << report.error().message;
  }
  return policy;
}

TEST(LearnerTest, OneUpdateHasARatioOfExactlyOne) {
  Policy policy = policy::TinyPolicy();
  const std::vector<Sample> samples = Samples(policy);
  Learner learner(policy, Options());
  const auto report = learner.Step(samples, nullptr, kRate);
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(report->ratio_max, 1.0);
  EXPECT_EQ(report->clip_fraction, 0.0);
  EXPECT_EQ(report->tokens, 10);
  EXPECT_EQ(report->idle_samples, 0);
  EXPECT_LT(report->rollout_difference, 1e-5);
  EXPECT_GT(report->entropy, 0);
  EXPECT_LT(report->entropy, std::log(16.0));
}

struct AggregationCase {
  const char* name;
  Aggregation aggregation;
  double want;
};
class AggregationTest : public testing::TestWithParam<AggregationCase> {};

// Whatever the cut into micro-batches: denominators are the whole batch's.
TEST_P(AggregationTest, EqualsTheWorkedValue) {
  for (const std::int64_t budget : {1, 4096}) {
    Policy policy = policy::TinyPolicy();
    std::vector<Sample> samples = Samples(policy);
    samples.resize(2);
    LearnerOptions options = Options();
    options.aggregation = GetParam().aggregation;
    options.micro_batch_tokens = budget;
    Learner learner(policy, options);
    const auto report = learner.Step(samples, nullptr, kRate);
    ASSERT_TRUE(report) << report.error().message;
    EXPECT_NEAR(report->loss, GetParam().want, 1e-6);
  }
}
INSTANTIATE_TEST_SUITE_P(Table,
                         AggregationTest,
                         testing::Values(AggregationCase{"Sequence", Aggregation::kSequence, 0},
                                         AggregationCase{"Token", Aggregation::kToken, 1. / 3}),
                         [](const auto& p) { return std::string(p.param.name); });

TEST(LearnerTest, RaisesWhatWasGoodAndLowersWhatWasBad) {
  const Policy before = policy::TinyPolicy();
  const std::vector<Sample> samples = Samples(before);
  const Policy after = Trained(Options(), samples, 3);
  for (const Sample& s : samples) {
    const double change = Sum(LogprobsOf(after, s)) - Sum(LogprobsOf(before, s));
    EXPECT_GT(change * s.advantage, 0) << "advantage " << s.advantage;
  }
}

TEST(LearnerTest, ThreadsChangeNoBit) {
  const Policy reference = policy::TinyPolicy();
  const std::vector<Sample> samples = Samples(reference);
  LearnerOptions options = Options();
  options.micro_batch_tokens = 1;  // a micro-batch for each sample
  options.balance_loss = 1e-3;
  options.bias_rate = 1e-3;
  options.rule.kl = .01;
  options.updates = 2;
  const Policy alone = Trained(options, samples, 3, &reference);
  options.threads = 2;
  ExpectSameBits(alone, Trained(options, samples, 3, &reference));
  EXPECT_FALSE(SameBits(alone, reference));
}

TEST(LearnerTest, SamplesWithoutAdvantageWeighButDoNotMove) {
  std::vector<Sample> samples = Samples(policy::TinyPolicy());
  samples[1].advantage = 0;
  samples[3].advantage = 0;
  LearnerOptions options = Options();
  options.adamw.epsilon = 1e-3;  // else rounding noise is blown up to steps of full size

  Policy policy = policy::TinyPolicy();
  Learner learner(policy, options);
  const auto report = learner.Step(samples, nullptr, kRate);
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(report->idle_samples, 2);
  EXPECT_EQ(report->tokens, 5);
  EXPECT_NEAR(report->loss, -(1 + .5) / 4, 1e-6);  // four sequences in the denominator, not two

  // An advantage too small to matter, yet not idle: the same update, worked out with all samples.
  samples[1].advantage = samples[3].advantage = 1e-30;
  const Policy whole = Trained(options, samples);
  for (std::size_t i = 0; i < policy.parameters().size(); ++i) {
    EXPECT_TRUE(at::allclose(policy.parameters()[i].value, whole.parameters()[i].value, 0, 1e-6))
        << policy.parameters()[i].name;
  }
}

TEST(LearnerTest, NothingButIdleSamplesLeaveTheWeightsAlone) {
  std::vector<Sample> samples = Samples(policy::TinyPolicy());
  for (Sample& s : samples)
    s.advantage = 0;
  LearnerOptions options = Options();
  options.adamw.weight_decay = .1;
  ExpectSameBits(Trained(options, samples), policy::TinyPolicy());
}

// Old log-probabilities are the learner's own: what the rollout wrote down decides nothing.
TEST(LearnerTest, SeveralUpdatesGoByTheLearnersOwnOldLogprobs) {
  std::vector<Sample> samples = Samples(policy::TinyPolicy());
  LearnerOptions options = Options();
  options.updates = 2;
  const Policy right = Trained(options, samples);
  for (Sample& s : samples) {
    for (float& l : s.rollout_logprobs)
      l -= 3;
  }
  Policy policy = policy::TinyPolicy();
  Learner learner(policy, options);
  const auto report = learner.Step(samples, nullptr, kRate);
  ASSERT_TRUE(report) << report.error().message;
  ExpectSameBits(policy, right);
  EXPECT_NEAR(report->rollout_difference, 3, 1e-4);
  EXPECT_NE(report->ratio_max, 1.0);  // the second update meets weights that the first one moved
  EXPECT_NEAR(report->ratio_max, 1.0, .9);
}

TEST(LearnerTest, TwoUpdatesAreNotOne) {
  const std::vector<Sample> samples = Samples(policy::TinyPolicy());
  LearnerOptions options = Options();
  const Policy one = Trained(options, samples);
  options.updates = 2;
  EXPECT_FALSE(SameBits(one, Trained(options, samples)));
}

TEST(LearnerTest, KlPullsTowardsTheReference) {
  const Policy reference = policy::TinyPolicy();
  std::vector<Sample> samples = Samples(reference);
  Policy policy = Trained(Options(), samples, 5);  // away from the reference
  for (Sample& s : samples)
    s.advantage = 0;
  LearnerOptions options = Options();
  options.rule.kl = 1;
  Learner learner(policy, options);
  std::vector<double> kl;
  for (int k = 0; k < 10; ++k) {
    const auto report = learner.Step(samples, &reference, 2e-3);
    ASSERT_TRUE(report) << report.error().message;
    EXPECT_EQ(report->idle_samples, 0);
    kl.push_back(report->kl);
  }
  EXPECT_GT(kl.front(), 0);
  EXPECT_LT(kl.back(), .5 * kl.front());
}

TEST(LearnerTest, TheTemperatureIsTheRollouts) {
  Policy policy = policy::TinyPolicy();
  std::vector<Sample> samples = Samples(policy);
  for (Sample& s : samples)
    s.rollout_logprobs = LogprobsOf(policy, s, .5);
  LearnerOptions options = Options();
  options.temperature = .5;
  Learner learner(policy, options);
  const auto report = learner.Step(samples, nullptr, 1e-3);
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_LT(report->rollout_difference, 1e-5);
}

struct RefusalCase {
  const char* name;
  void (*spoil)(Sample&);
  const char* message;
};
class LearnerRefusalTest : public testing::TestWithParam<RefusalCase> {};

TEST_P(LearnerRefusalTest, NamesWhatIsWrongAndLeavesTheWeightsAlone) {
  Policy policy = policy::TinyPolicy();
  std::vector<Sample> samples = Samples(policy);
  GetParam().spoil(samples.back());
  Learner learner(policy, Options());
  const auto report = learner.Step(samples, nullptr, kRate);
  ASSERT_FALSE(report);
  EXPECT_THAT(report.error().message, HasSubstr(GetParam().message));
  ExpectSameBits(policy, policy::TinyPolicy());
}
INSTANTIATE_TEST_SUITE_P(
    Table,
    LearnerRefusalTest,
    testing::Values(RefusalCase{"NoPrompt", [](Sample& s) { s.prompt.clear(); }, "empty prompt"},
                    RefusalCase{"NoCompletion", [](Sample& s) { s.completion.clear(); }, "empty"},
                    RefusalCase{"Logprobs", [](Sample& s) { s.rollout_logprobs.push_back(0); },
                                "1 tokens and 2 log-probabilities"},
                    RefusalCase{"TooLong", [](Sample& s) { s.prompt.assign(256, 1); }, "takes 256"},
                    RefusalCase{"Advantage", [](Sample& s) { s.advantage = std::nan(""); },
                                "not finite"}),
    [](const auto& p) { return std::string(p.param.name); });

TEST(LearnerTest, KlWithoutAReferenceIsRefused) {
  Policy policy = policy::TinyPolicy();
  LearnerOptions options = Options();
  options.rule.kl = .1;
  Learner learner(policy, options);
  const auto report = learner.Step(Samples(policy), nullptr, kRate);
  ASSERT_FALSE(report);
  EXPECT_THAT(report.error().message, HasSubstr("reference"));
}

}  // namespace
}  // namespace aha::grpo
