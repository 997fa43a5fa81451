#include "grpo/learner.h"

#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/policy/tiny_weights.h"

namespace aha::grpo {
namespace {

using policy::Differing;
using policy::TinyWeights;
using policy::Weights;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr double kRate = 2e-3;
const policy::cpu::Cpu kCpu(policy::cpu::ChooseKernelTarget().value(), 2);

std::vector<float> LogprobsOf(const Weights& weights, const Sample& s, double temperature = 1) {
  policy::TargetSequences sequences{{s.prompt}, {static_cast<std::int64_t>(s.prompt.size())}};
  sequences.ids_S[0].insert(sequences.ids_S[0].end(), s.completion.begin(), s.completion.end());
  return policy::TargetLogprobs(weights, kCpu).Of(sequences, static_cast<float>(temperature));
}

double Sum(const std::vector<float>& values) {
  double sum = 0;
  for (const float v : values)
    sum += v;
  return sum;
}

// Completions of lengths 2 and 4 with opposite advantages, and two more.
std::vector<Sample> Samples(const Weights& weights) {
  std::vector<Sample> samples = {{{1, 5}, {9, 3}, {}, 1},
                                 {{1, 5}, {2, 7, 7, 14}, {}, -1},
                                 {{4, 4, 8}, {6, 0, 11}, {}, .5},
                                 {{4, 4, 8}, {10}, {}, -.5}};
  for (Sample& s : samples)
    s.rollout_logprobs = LogprobsOf(weights, s);
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

// Trains fresh tiny weights on the samples, each step as the rollout would have recorded it.
Weights Trained(const LearnerOptions& options,
                std::vector<Sample> samples,
                int steps = 1,
                const Weights* reference = nullptr,
                const policy::cpu::Cpu& cpu = kCpu) {
  Weights weights = TinyWeights();
  Learner learner(weights, cpu, options);
  for (int k = 0; k < steps; ++k) {
    for (Sample& s : samples)
      s.rollout_logprobs = LogprobsOf(weights, s);
    const auto report = learner.Step(samples, reference, kRate);
    EXPECT_TRUE(report) << report.error().message;
  }
  return weights;
}

TEST(LearnerTest, OneUpdateHasARatioOfExactlyOne) {
  Weights weights = TinyWeights();
  const std::vector<Sample> samples = Samples(weights);
  Learner learner(weights, kCpu, Options());
  const auto report = learner.Step(samples, nullptr, kRate);
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(report->ratio_max, 1.0);
  EXPECT_EQ(report->clip_fraction, 0.0);
  EXPECT_EQ(report->tokens, 10);
  EXPECT_EQ(report->idle_samples, 0);
  EXPECT_EQ(report->rollout_difference, 0);
  EXPECT_GT(report->entropy, 0);
  EXPECT_LT(report->entropy, std::log(16.0));
}

// A rollout that differs in one bit of one token has run other kernels, or other weights.
TEST(LearnerTest, ARolloutThatIsNotBitForBitTheLearnersStopsTheStep) {
  for (const std::int64_t budget : {1, 4096}) {
    Weights weights = TinyWeights();
    std::vector<Sample> samples = Samples(weights);
    float& logprob = samples[2].rollout_logprobs[1];
    logprob = std::nextafter(logprob, 0.0F);
    LearnerOptions options = Options();
    options.micro_batch_tokens = budget;
    Learner learner(weights, kCpu, options);
    const auto report = learner.Step(samples, nullptr, kRate);
    ASSERT_FALSE(report);
    EXPECT_THAT(report.error().message, HasSubstr("sample 2, token 1"));
    EXPECT_THAT(Differing(weights, TinyWeights()), IsEmpty());
  }
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
    Weights weights = TinyWeights();
    std::vector<Sample> samples = Samples(weights);
    samples.resize(2);
    LearnerOptions options = Options();
    options.aggregation = GetParam().aggregation;
    options.micro_batch_tokens = budget;
    Learner learner(weights, kCpu, options);
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
  const Weights before = TinyWeights();
  const std::vector<Sample> samples = Samples(before);
  const Weights after = Trained(Options(), samples, 3);
  for (const Sample& s : samples) {
    const double change = Sum(LogprobsOf(after, s)) - Sum(LogprobsOf(before, s));
    EXPECT_GT(change * s.advantage, 0) << "advantage " << s.advantage;
  }
}

TEST(LearnerTest, NeitherThreadsNorMicroBatchesChangeABit) {
  const Weights reference = TinyWeights();
  const std::vector<Sample> samples = Samples(reference);
  LearnerOptions options = Options();
  options.balance_loss = 1e-3;
  options.bias_rate = 1e-3;
  options.rule.kl = .01;
  options.updates = 2;
  const policy::cpu::Cpu one(kCpu.target(), 1);
  const Weights alone = Trained(options, samples, 3, &reference, one);
  options.micro_batch_tokens = 1;  // a micro-batch for each sample
  EXPECT_THAT(Differing(alone, Trained(options, samples, 3, &reference)), IsEmpty());
  EXPECT_FALSE(Differing(alone, reference).empty());
}

TEST(LearnerTest, SamplesWithoutAdvantageWeighButDoNotMove) {
  std::vector<Sample> samples = Samples(TinyWeights());
  samples[1].advantage = 0;
  samples[3].advantage = 0;
  LearnerOptions options = Options();
  options.adamw.epsilon = 1e-3;  // else rounding noise is blown up to steps of full size

  Weights weights = TinyWeights();
  Learner learner(weights, kCpu, options);
  const auto report = learner.Step(samples, nullptr, kRate);
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(report->idle_samples, 2);
  EXPECT_EQ(report->tokens, 5);
  EXPECT_NEAR(report->loss, -(1 + .5) / 4, 1e-6);  // four sequences in the denominator, not two

  // An advantage too small to matter, yet not idle: the same update, worked out with all samples.
  samples[1].advantage = samples[3].advantage = 1e-30;
  const Weights whole = Trained(options, samples);
  for (std::size_t t = 0; t < whole.tensors().size(); ++t) {
    EXPECT_THAT(NumbersOf(weights, t),
                testing::Pointwise(testing::FloatNear(1e-6F), NumbersOf(whole, t)))
        << whole.tensors()[t].spec.name;
  }
}

TEST(LearnerTest, NothingButIdleSamplesLeaveTheWeightsAlone) {
  std::vector<Sample> samples = Samples(TinyWeights());
  for (Sample& s : samples)
    s.advantage = 0;
  LearnerOptions options = Options();
  options.adamw.weight_decay = .1;
  EXPECT_THAT(Differing(Trained(options, samples), TinyWeights()), IsEmpty());
}

// The second mini-batch meets weights that the first one moved; its old log-probabilities stay the
// rollout's.
TEST(LearnerTest, LaterUpdatesHaveRatiosToTheRollout) {
  Weights weights = TinyWeights();
  const std::vector<Sample> samples = Samples(weights);
  LearnerOptions options = Options();
  options.updates = 2;
  Learner learner(weights, kCpu, options);
  const auto report = learner.Step(samples, nullptr, kRate);
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(report->rollout_difference, 0);
  EXPECT_NE(report->ratio_max, 1.0);
  EXPECT_NEAR(report->ratio_max, 1.0, .9);
}

TEST(LearnerTest, TwoUpdatesAreNotOne) {
  const std::vector<Sample> samples = Samples(TinyWeights());
  LearnerOptions options = Options();
  const Weights one = Trained(options, samples);
  options.updates = 2;
  EXPECT_FALSE(Differing(one, Trained(options, samples)).empty());
}

TEST(LearnerTest, KlPullsTowardsTheReference) {
  const Weights reference = TinyWeights();
  std::vector<Sample> samples = Samples(reference);
  Weights weights = Trained(Options(), samples, 5);  // away from the reference
  for (Sample& s : samples)
    s.advantage = 0;
  LearnerOptions options = Options();
  options.rule.kl = 1;
  Learner learner(weights, kCpu, options);
  std::vector<double> kl;
  for (int k = 0; k < 10; ++k) {
    for (Sample& s : samples)
      s.rollout_logprobs = LogprobsOf(weights, s);
    const auto report = learner.Step(samples, &reference, 2e-3);
    ASSERT_TRUE(report) << report.error().message;
    EXPECT_EQ(report->idle_samples, 0);
    kl.push_back(report->kl);
  }
  EXPECT_GT(kl.front(), 0);
  EXPECT_LT(kl.back(), .5 * kl.front());
}

TEST(LearnerTest, TheTemperatureIsTheRollouts) {
  Weights weights = TinyWeights();
  std::vector<Sample> samples = Samples(weights);
  for (Sample& s : samples)
    s.rollout_logprobs = LogprobsOf(weights, s, .5);
  LearnerOptions options = Options();
  options.temperature = .5;
  Learner learner(weights, kCpu, options);
  const auto report = learner.Step(samples, nullptr, 1e-3);
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(report->rollout_difference, 0);
}

struct RefusalCase {
  const char* name;
  void (*spoil)(Sample&);
  const char* message;
};
class LearnerRefusalTest : public testing::TestWithParam<RefusalCase> {};

TEST_P(LearnerRefusalTest, NamesWhatIsWrongAndLeavesTheWeightsAlone) {
  Weights weights = TinyWeights();
  std::vector<Sample> samples = Samples(weights);
  GetParam().spoil(samples.back());
  Learner learner(weights, kCpu, Options());
  const auto report = learner.Step(samples, nullptr, kRate);
  ASSERT_FALSE(report);
  EXPECT_THAT(report.error().message, HasSubstr(GetParam().message));
  EXPECT_THAT(Differing(weights, TinyWeights()), IsEmpty());
}
INSTANTIATE_TEST_SUITE_P(
    Table,
    LearnerRefusalTest,
    testing::Values(RefusalCase{"NoPrompt", [](Sample& s) { s.prompt.clear(); }, "empty prompt"},
                    RefusalCase{"NoCompletion", [](Sample& s) { s.completion.clear(); }, "empty"},
                    RefusalCase{"Logprobs", [](Sample& s) { s.rollout_logprobs.push_back(0); },
                                "1 tokens and 2 log-probabilities"},
                    RefusalCase{"TooLong", [](Sample& s) { s.prompt.assign(256, 1); }, "takes 256"},
                    RefusalCase{"Id", [](Sample& s) { s.prompt[1] = 16; }, "token id 16"},
                    RefusalCase{"Advantage", [](Sample& s) { s.advantage = std::nan(""); },
                                "not finite"}),
    [](const auto& p) { return std::string(p.param.name); });

TEST(LearnerTest, KlWithoutAReferenceIsRefused) {
  Weights weights = TinyWeights();
  LearnerOptions options = Options();
  options.rule.kl = .1;
  Learner learner(weights, kCpu, options);
  const auto report = learner.Step(Samples(weights), nullptr, kRate);
  ASSERT_FALSE(report);
  EXPECT_THAT(report.error().message, HasSubstr("reference"));
}

}  // namespace
}  // namespace aha::grpo
