#include "policy/training/update.h"

#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/policy/tiny_weights.h"

namespace aha::policy {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

const AdamWOptions kPlain{.9, .95, 1e-8, 0, 0};
const cpu::Cpu kCpu(cpu::ChooseKernelTarget().value(), 2);

PolicyConfig MtpConfig() {
  PolicyConfig config = TinyConfig();
  config.num_nextn_predict_layers = 1;
  return config;
}

const TargetSequences kMany = {
    {{1, 5, 9, 3, 14}, {7, 2}, {4, 4, 8, 10, 11, 6, 0}, {2, 13, 12}, {3}},
    {1, 1, 4, 2, 1}};

// Every target's slope is `slope`.
Update::SlopesOf Slope(float slope) {
  return [slope](const Targets&, std::span<const float> logprob_N, std::span<const float>) {
    return Result<std::vector<float>>(std::vector<float>(logprob_N.size(), slope));
  };
}

TEST(UpdateTest, AddsUpGradientsOfAllMicroBatches) {
  Weights weights = TinyWeights();
  Update update(weights, kCpu, kPlain, 0);
  const auto norm_of = [&](const std::vector<float>& slopes) {
    for (const float slope : slopes)
      EXPECT_TRUE(update.Add(kMany, 1, false, {}, Slope(slope)));
    const auto report = update.Finish(0);
    EXPECT_TRUE(report) << report.error().message;
    return report->gradient_norm;
  };
  const double one = norm_of({1});
  EXPECT_GT(one, 0.1);
  EXPECT_NEAR(norm_of({1, 2, 3}), 6 * one, 1e-4 * one);
  EXPECT_NEAR(norm_of({1}), one, 0);  // the sum was cleared: this one starts from nothing
  EXPECT_EQ(norm_of({0}), 0);
}

struct WayToCut {
  std::vector<std::size_t> counts;
  int threads;
  bool known = false;  // the slopes, before the pass
};
TEST(UpdateTest, NeitherMicroBatchesNorThreadsChangeABit) {
  for (const bool to_trunk : {false, true}) {
    const SideLosses side = {.01, .1, to_trunk};
    const auto trained = [&](const WayToCut& way) {
      const cpu::Cpu cpu(kCpu.target(), way.threads);
      Weights weights = TinyWeights(MtpConfig());
      Update update(weights, cpu, {}, .001);
      for (int step = 0; step < 3; ++step) {
        std::size_t first = 0;
        for (const std::size_t count : way.counts) {
          TargetSequences part;
          for (std::size_t s = first; s < first + count; ++s) {
            part.ids_S.push_back(kMany.ids_S[s]);
            part.first_S.push_back(kMany.first_S[s]);
          }
          if (way.known) {
            const std::vector<float> slope_N(TargetsOf(part).row_N.size(), -.1F);
            TargetValues values;
            update.AddKnown(part, .7F, side, slope_N, values);
          } else {
            EXPECT_TRUE(update.Add(part, .7F, true, side, Slope(-.1F)));
          }
          first += count;
        }
        EXPECT_TRUE(update.Finish(1e-2));
      }
      return weights;
    };
    const Weights want = trained({{5}, 1});
    for (const WayToCut& way : {WayToCut{{1, 1, 1, 1, 1}, 2},
                                {{2, 3}, 1},
                                {{4, 1}, 2},
                                {{5}, 1, true},
                                {{2, 1, 2}, 2, true}})
      EXPECT_THAT(Differing(trained(way), want), IsEmpty()) << way.counts.size();
    EXPECT_FALSE(Differing(want, TinyWeights(MtpConfig())).empty());
  }
}

TEST(UpdateTest, KnownSlopesGiveTheSameLogprobsAndEntropies) {
  Weights weights = TinyWeights(MtpConfig());
  Update update(weights, kCpu, kPlain, 0);
  std::vector<float> logprobs, entropies;
  const MicroReport asked =
      update
          .Add(kMany, .7F, true, {0, .1, true},
               [&](const Targets&, std::span<const float> logprob_N,
                   std::span<const float> entropy_N) {
                 logprobs.assign(logprob_N.begin(), logprob_N.end());
                 entropies.assign(entropy_N.begin(), entropy_N.end());
                 return Result<std::vector<float>>(std::vector<float>(logprob_N.size(), 1.0F));
               })
          .value();
  TargetValues values;
  const std::vector<float> slope_N(logprobs.size(), 2.0F);
  const MicroReport known = update.AddKnown(kMany, .7F, {0, .1, true}, slope_N, values);
  EXPECT_EQ(values.logprob_N, logprobs);
  EXPECT_EQ(values.entropy_N, entropies);
  EXPECT_EQ(known.mtp_sum, asked.mtp_sum);
  EXPECT_EQ(known.mtp_tokens, asked.mtp_tokens);
}

TEST(UpdateTest, AGradientThatIsNotFiniteNamesItsTensor) {
  Weights weights = TinyWeights();
  Update update(weights, kCpu, kPlain, .001);
  ASSERT_TRUE(update.Add(kMany, 1, false, {}, Slope(1)));
  ASSERT_TRUE(update.Add(kMany, 1, false, {}, Slope(std::numeric_limits<float>::infinity())));
  const auto report = update.Finish(1e-3);
  ASSERT_FALSE(report);
  EXPECT_THAT(report.error().message, HasSubstr("gradient of model.embed_tokens.weight"));
  EXPECT_THAT(report.error().message, HasSubstr("not finite"));
  EXPECT_THAT(Differing(weights, TinyWeights()), IsEmpty());
  // What was added is gone.
  ASSERT_TRUE(update.Add(kMany, 1, false, {}, Slope(0)));
  EXPECT_EQ(update.Finish(1e-3)->gradient_norm, 0);
}

TEST(UpdateTest, ExpertLoadIsTheWholeUpdates) {
  Weights weights = TinyWeights();
  const std::size_t bias = weights.selection_biases().at(0);
  const std::vector<float> before = NumbersOf(weights, bias);
  // Worked out alone: {4,5,7},{4,5,7},{2,3,5},{2,6,7},{2,3,6}.
  const TargetSequences known = {{{1, 5, 9, 3, 14}}, {1}};
  const double load[] = {0, 0, 3, 2, 2, 3, 2, 3};
  Update update(weights, kCpu, kPlain, .001);
  for (int m = 0; m < 2; ++m)
    ASSERT_TRUE(update.Add(known, 1, false, {}, Slope(0)));
  const auto report = update.Finish(0);
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_NEAR(report->max_violation, (6 - 30. / 8) / (30. / 8), 1e-12);
  EXPECT_THAT(report->load, ElementsAre(6. / 30));
  const std::vector<float> after = NumbersOf(weights, bias);
  for (std::size_t e = 0; e < 8; ++e)
    EXPECT_NEAR(after[e] - before[e], load[e] > 15. / 8 ? -.001 : .001, 1e-7) << e;
}

TEST(UpdateTest, AnErrorOfTheLossIsTheUpdates) {
  Weights weights = TinyWeights();
  Update update(weights, kCpu, kPlain, 0);
  const auto failing = [](const Targets&, std::span<const float>, std::span<const float>) {
    return Result<std::vector<float>>(tl::unexpected<Error>({Code::kInternal, "no such thing"}));
  };
  const auto done = update.Add(kMany, 1, false, {}, failing);
  ASSERT_FALSE(done);
  EXPECT_THAT(done.error().message, HasSubstr("no such thing"));
}

}  // namespace
}  // namespace aha::policy
