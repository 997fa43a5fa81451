#include "grpo/learner.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/whole_file.h"

namespace aha::grpo {
namespace {

using policy::Weights;
using testing::HasSubstr;
namespace cpu = policy::cpu;

constexpr double kRate = 2e-3;

const cpu::Cpu& TestCpu() {
  static const cpu::Cpu cpu(*cpu::ChooseKernelTarget(), 1);
  return cpu;
}

// A tiny DeepSeek-V3 in fp32, drawn wide enough to have opinions.
Weights Tiny() {
  const auto golden = nlohmann::ordered_json::parse(
      ReadFile(AHA_SOURCE_DIR "/tests/policy/golden/models/deepseek_v3.json").value());
  policy::PolicyConfig config = policy::ParseConfig(golden["config"].dump(), "deepseek_v3").value();
  config.dtype = policy::NumberType::kFp32;
  config.initializer_range = .3;
  return Weights::Initial(config, KeyedRandom(7, "learner_test"));
}

std::vector<float> LogprobsOf(const Weights& weights, const Sample& s, float temperature = 1) {
  policy::TargetSequences sequences;
  sequences.ids_S = {s.prompt};
  sequences.ids_S[0].insert(sequences.ids_S[0].end(), s.completion.begin(), s.completion.end());
  sequences.first_S = {static_cast<std::int64_t>(s.prompt.size())};
  return policy::TargetLogprobs(weights, TestCpu()).Of(sequences, temperature);
}

double Sum(const std::vector<float>& values) {
  double sum = 0;
  for (const float v : values)
    sum += v;
  return sum;
}

Sample Of(std::vector<std::int32_t> prompt,
          std::vector<std::int32_t> completion,
          double advantage) {
  Sample s;
  s.prompt = std::move(prompt);
  s.completion = std::move(completion);
  s.advantage = advantage;
  return s;
}

// Completions of lengths 2 and 4 with opposite advantages, and two more.
std::vector<Sample> Samples(const Weights& weights) {
  std::vector<Sample> samples = {Of({1, 5}, {9, 3}, 1), Of({1, 5}, {2, 7, 7, 14}, -1),
                                 Of({4, 4, 8}, {6, 0, 11}, .5), Of({4, 4, 8}, {10}, -.5)};
  for (Sample& s : samples)
    s.rollout_logprobs = LogprobsOf(weights, s);
  return samples;
}

// Only the objective: no balance, no decay.
LearnerOptions Options() {
  LearnerOptions options;
  options.adamw.weight_decay = 0;
  options.bias_rate = 0;
  options.balance_loss = 0;
  return options;
}

std::vector<float> Numbers(const Weights& weights) {
  std::vector<float> all;
  for (std::size_t t = 0; t < weights.tensors().size(); ++t) {
    const auto& tensor = weights.tensors()[t];
    std::vector<float> numbers(tensor.numbers());
    weights.Read(t, 0, cpu::Rows<float>(numbers.data(), tensor.rows, tensor.columns));
    all.insert(all.end(), numbers.begin(), numbers.end());
  }
  return all;
}

LearnReport Train(Weights& weights,
                  const LearnerOptions& options,
                  const std::vector<Sample>& samples,
                  const Weights* reference = nullptr) {
  Learner learner(weights, TestCpu(), options);
  auto report = learner.Step(samples, reference, kRate);
  EXPECT_TRUE(report) << report.error().message;
  return report ? *report : LearnReport();
}

TEST(LearnerTest, OneUpdateHasARatioOfExactlyOne) {
  Weights weights = Tiny();
  const LearnReport report = Train(weights, Options(), Samples(weights));
  EXPECT_EQ(report.ratio_max, 1.0);
  EXPECT_EQ(report.ratio_mean, 1.0);
  EXPECT_EQ(report.clip_fraction, 0.0);
  EXPECT_EQ(report.tokens, 10);
  EXPECT_EQ(report.rollout_difference, 0);
  EXPECT_GT(report.entropy, 0);
  EXPECT_TRUE(report.not_finite.empty());
  EXPECT_GT(report.update.health.entropy, 0);
  EXPECT_LE(report.update.health.entropy, 1);
}

struct CutCase {
  const char* name;
  ObjectiveRule rule;
  double want;  // of the loss, on the first two samples
};
void PrintTo(const CutCase& c, std::ostream* os) {
  *os << c.name;
}
ObjectiveRule With(Aggregation aggregation, Ratio ratio = Ratio::kToken) {
  ObjectiveRule rule;
  rule.aggregation = aggregation;
  rule.ratio = ratio;
  rule.length = 8;
  return rule;
}
class CutTest : public testing::TestWithParam<CutCase> {};

TEST_P(CutTest, MicroBatchesChangeNeitherTheLossNorABit) {
  std::vector<std::vector<float>> weights_after;
  for (const std::int64_t budget : {1, 8, 4096}) {
    Weights weights = Tiny();
    std::vector<Sample> samples = Samples(weights);
    samples.resize(2);
    LearnerOptions options = Options();
    options.rule = GetParam().rule;
    options.micro_batch_tokens = budget;
    EXPECT_NEAR(Train(weights, options, samples).loss, GetParam().want, 1e-12);
    weights_after.push_back(Numbers(weights));
  }
  EXPECT_EQ(weights_after[0], weights_after[1]);
  EXPECT_EQ(weights_after[0], weights_after[2]);
  EXPECT_NE(weights_after[0], Numbers(Tiny()));
}
INSTANTIATE_TEST_SUITE_P(
    Table,
    CutTest,
    testing::Values(CutCase{"Sequence", With(Aggregation::kSequence), 0},
                    CutCase{"Token", With(Aggregation::kToken), 1. / 3},
                    CutCase{"SequenceSum", With(Aggregation::kSequenceSum), 1},
                    CutCase{"Constant", With(Aggregation::kConstant), .125},
                    CutCase{"Gspo", With(Aggregation::kSequence, Ratio::kSequence), 0},
                    CutCase{"Product", With(Aggregation::kSequence, Ratio::kProduct), 0}),
    [](const auto& p) { return std::string(p.param.name); });

TEST(LearnerTest, RaisesWhatWasGoodAndLowersWhatWasBad) {
  for (const Ratio ratio :
       {Ratio::kToken, Ratio::kSequence, Ratio::kSequenceToken, Ratio::kProduct}) {
    for (const Clip clip : {Clip::kTwoSided, Clip::kWeight, Clip::kNone}) {
      Weights weights = Tiny();
      const std::vector<Sample> samples = Samples(weights);
      LearnerOptions options = Options();
      options.rule.ratio = ratio;
      options.rule.clip = clip;
      Train(weights, options, samples);
      for (const Sample& s : samples)
        EXPECT_GT((Sum(LogprobsOf(weights, s)) - Sum(s.rollout_logprobs)) * s.advantage, 0);
    }
  }
}

TEST(LearnerTest, TokensHaveAdvantagesOfTheirOwn) {
  Weights weights = Tiny();
  std::vector<Sample> samples = Samples(weights);
  samples.resize(1);
  samples[0].advantages = {1, -1};
  const auto before = samples[0].rollout_logprobs;
  Train(weights, Options(), samples);
  const auto after = LogprobsOf(weights, samples[0]);
  EXPECT_GT(after[0], before[0]);
  EXPECT_LT(after[1], before[1]);
}

// Completions come back in any order.
TEST(LearnerTest, SamplesAreLearnedFromInTheirOwnOrder) {
  std::vector<std::vector<float>> after;
  for (const bool reversed : {false, true}) {
    Weights weights = Tiny();
    std::vector<Sample> samples = Samples(weights);
    for (std::size_t i = 0; i < samples.size(); ++i)
      samples[i].order = i;
    if (reversed) std::reverse(samples.begin(), samples.end());
    LearnerOptions options = Options();
    options.updates = 2;
    Train(weights, options, samples);
    after.push_back(Numbers(weights));
  }
  EXPECT_EQ(after[0], after[1]);
}

TEST(LearnerTest, RecomputedActivationsChangeNoBit) {
  std::vector<std::vector<float>> after;
  for (const std::size_t bytes : {policy::Update::kMostTapeBytes, std::size_t{0}}) {
    Weights weights = Tiny();
    LearnerOptions options = Options();
    options.most_tape_bytes = bytes;
    Train(weights, options, Samples(weights));
    after.push_back(Numbers(weights));
  }
  EXPECT_EQ(after[0], after[1]);
}

TEST(LearnerTest, IdleSamplesWeighButDoNotMove) {
  Weights weights = Tiny();
  std::vector<Sample> samples = Samples(weights);
  samples[1].advantage = samples[3].advantage = 0;
  const LearnReport report = Train(weights, Options(), samples);
  EXPECT_EQ(report.idle_samples, 2);
  EXPECT_EQ(report.tokens, 5);
  EXPECT_NEAR(report.loss, -(1 + .5) / 4, 1e-12);  // four sequences in the denominator, not two
}

TEST(LearnerTest, NothingToLearnFromLeavesTheWeightsAlone) {
  for (const bool truncated : {false, true}) {
    Weights weights = Tiny();
    std::vector<Sample> samples = Samples(weights);
    LearnerOptions options = Options();
    options.adamw.weight_decay = .1;
    options.rule.mask_truncated = truncated;
    for (Sample& s : samples) {
      if (truncated)
        s.truncated = true;
      else
        s.advantage = 0;
    }
    const LearnReport report = Train(weights, options, samples);
    EXPECT_EQ(report.idle_samples, 4);
    EXPECT_EQ(report.masked_samples, truncated ? 4 : 0);
    EXPECT_EQ(Numbers(weights), Numbers(Tiny()));
  }
  Weights weights = Tiny();
  EXPECT_EQ(Train(weights, Options(), {}).tokens, 0);
}

TEST(LearnerTest, OtherLogprobsOfTheRolloutAreRefusedWithoutACorrection) {
  Weights weights = Tiny();
  std::vector<Sample> samples = Samples(weights);
  samples[2].rollout_logprobs[1] -= .5F;
  Learner learner(weights, TestCpu(), Options());
  const auto report = learner.Step(samples, nullptr, kRate);
  ASSERT_FALSE(report);
  EXPECT_THAT(report.error().message, HasSubstr("sample 2, token 1: the rollout recorded"));
}

TEST(LearnerTest, WithACorrectionTheyWeighTheLoss) {
  Weights weights = Tiny();
  std::vector<Sample> samples = Samples(weights);
  samples.resize(1);
  const double kShift[] = {.5, 2};  // u = 1.6487, and e^2 cut to 2
  for (std::size_t t = 0; t < 2; ++t)
    samples[0].rollout_logprobs[t] -= static_cast<float>(kShift[t]);
  LearnerOptions options = Options();
  options.rule.off_policy = OffPolicy::kTruncate;
  const LearnReport report = Train(weights, options, samples);
  EXPECT_EQ(report.ratio_max, 1.0);  // the learner's own old ones
  EXPECT_NEAR(report.loss, -(1.6487213 + 2) / 2, 1e-5);
  EXPECT_NEAR(report.off_policy_weight, (1.6487213 + 2) / 2, 1e-5);
  EXPECT_EQ(report.off_policy_cut, .5);
  EXPECT_NEAR(report.rollout_difference, 1.25, 1e-5);
}

TEST(LearnerTest, SeveralUpdatesMeetWeightsThatMoved) {
  Weights weights = Tiny();
  LearnerOptions options = Options();
  options.updates = 2;
  const LearnReport report = Train(weights, options, Samples(weights));
  EXPECT_NE(report.ratio_max, 1.0);
  EXPECT_NEAR(report.ratio_max, 1.0, .9);
}

TEST(LearnerTest, KlPullsTowardsTheReference) {
  const Weights reference = Tiny().Clone(policy::WeightsUse::kInference);
  for (const KlEstimate estimate : {KlEstimate::kK2, KlEstimate::kK3}) {
    Weights weights = Tiny();
    for (int k = 0; k < 5; ++k)
      Train(weights, Options(), Samples(weights));
    LearnerOptions options = Options();
    options.rule.kl = 1;
    options.rule.kl_estimate = estimate;
    std::vector<double> kl;
    for (int k = 0; k < 10; ++k) {
      std::vector<Sample> samples = Samples(weights);
      for (Sample& s : samples)
        s.advantage = 0;
      kl.push_back(Train(weights, options, samples, &reference).kl);
    }
    EXPECT_GT(kl.front(), 0);
    EXPECT_LT(kl.back(), .5 * kl.front());
  }
}

TEST(LearnerTest, KlPenaltiesAreEstimatesByTheRecordedLogprobs) {
  const Weights reference = Tiny().Clone(policy::WeightsUse::kInference);
  Weights weights = Tiny();
  Train(weights, Options(), Samples(weights));
  const std::vector<Sample> samples = Samples(weights);
  LearnerOptions options = Options();
  options.micro_batch_tokens = 1;
  const auto penalties =
      Learner(weights, TestCpu(), options).KlPenalties(samples, reference, KlEstimate::kK1);
  ASSERT_TRUE(penalties);
  for (std::size_t i = 0; i < samples.size(); ++i) {
    const auto of_reference = LogprobsOf(reference, samples[i]);
    for (std::size_t t = 0; t < of_reference.size(); ++t) {
      EXPECT_EQ((*penalties)[i][t],
                double{samples[i].rollout_logprobs[t]} - double{of_reference[t]});
    }
  }
}

TEST(LearnerTest, NanIsNamedAndChangesNothing) {
  Weights weights = Tiny();
  const std::vector<Sample> samples = Samples(weights);
  LearnerOptions options = Options();
  Learner learner(weights, TestCpu(), options);
  const std::size_t norm = *weights.IndexOf("model.norm.weight");
  const std::size_t width = weights.tensors()[norm].numbers();
  std::vector<float> good(width), bad(width, std::numeric_limits<float>::quiet_NaN());
  const auto rows = [&](std::vector<float>& of) {
    return cpu::Rows<const float>(of.data(), weights.tensors()[norm].rows,
                                  weights.tensors()[norm].columns);
  };
  weights.Read(
      norm, 0,
      cpu::Rows<float>(good.data(), weights.tensors()[norm].rows, weights.tensors()[norm].columns));
  weights.Write(norm, 0, rows(bad));
  const auto report = learner.Step(samples, nullptr, kRate);
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_THAT(report->not_finite, HasSubstr("the log-probability of sample"));
  EXPECT_THAT(report->not_finite, HasSubstr(" is NaN; "));
  EXPECT_THAT(report->not_finite,
              HasSubstr(weights.tensors()[norm].spec.name + " of the weights holds NaN"));
  weights.Write(norm, 0, rows(good));
  EXPECT_EQ(Numbers(weights), Numbers(Tiny()));
  // What the broken step added is forgotten: the next one is as if it had not been.
  ASSERT_TRUE(learner.Step(samples, nullptr, kRate));
  Weights alone = Tiny();
  Train(alone, options, samples);
  EXPECT_EQ(Numbers(weights), Numbers(alone));
}

TEST(LearnerTest, ThreadsChangeNoBit) {
  const Weights reference = Tiny().Clone(policy::WeightsUse::kInference);
  LearnerOptions options = Options();
  options.balance_loss = 1e-3;
  options.bias_rate = 1e-3;
  options.rule.kl = .01;
  options.updates = 2;
  std::vector<std::vector<float>> after;
  for (const int threads : {1, 2}) {
    const cpu::Cpu some(*cpu::ChooseKernelTarget(), threads);
    Weights weights = Tiny();
    Learner learner(weights, some, options);
    ASSERT_TRUE(learner.Step(Samples(weights), &reference, kRate));
    after.push_back(Numbers(weights));
  }
  EXPECT_EQ(after[0], after[1]);
}

struct RefusalCase {
  const char* name;
  void (*spoil)(Sample&);
  const char* message;
};
class LearnerRefusalTest : public testing::TestWithParam<RefusalCase> {};

TEST_P(LearnerRefusalTest, NamesWhatIsWrongAndLeavesTheWeightsAlone) {
  Weights weights = Tiny();
  std::vector<Sample> samples = Samples(weights);
  GetParam().spoil(samples.back());
  Learner learner(weights, TestCpu(), Options());
  const auto report = learner.Step(samples, nullptr, kRate);
  ASSERT_FALSE(report);
  EXPECT_THAT(report.error().message, HasSubstr(GetParam().message));
  EXPECT_EQ(Numbers(weights), Numbers(Tiny()));
}
INSTANTIATE_TEST_SUITE_P(
    Table,
    LearnerRefusalTest,
    testing::Values(
        RefusalCase{"NoPrompt", [](Sample& s) { s.prompt.clear(); }, "empty prompt"},
        RefusalCase{"NoCompletion", [](Sample& s) { s.completion.clear(); }, "empty"},
        RefusalCase{"Logprobs", [](Sample& s) { s.rollout_logprobs.push_back(0); },
                    "1 tokens and 2 log-probabilities"},
        RefusalCase{"Advantages",
                    [](Sample& s) {
                      s.advantages = {1, 2};
                    },
                    "1 tokens and 2 advantages"},
        RefusalCase{"Vocabulary", [](Sample& s) { s.completion = {99}; }, "token id 99"},
        RefusalCase{"Advantage", [](Sample& s) { s.advantage = std::nan(""); }, "not finite"}),
    [](const auto& p) { return std::string(p.param.name); });

TEST(LearnerTest, KlWithoutAReferenceIsRefused) {
  Weights weights = Tiny();
  LearnerOptions options = Options();
  options.rule.kl = .1;
  Learner learner(weights, TestCpu(), options);
  const auto report = learner.Step(Samples(weights), nullptr, kRate);
  ASSERT_FALSE(report);
  EXPECT_THAT(report.error().message, HasSubstr("reference"));
}

}  // namespace
}  // namespace aha::grpo
