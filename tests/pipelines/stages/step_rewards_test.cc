#include "pipelines/stages/step_rewards.h"

#include <gtest/gtest.h>

#include "pipelines/recipes/recipe.h"
#include "pipelines/recipes/resolve.h"
#include "pipelines/stages/rl_objective.h"

namespace aha::pipelines {
namespace {

// Process supervision over two components: one tells steps, the other does not.
proto::Rl RlOf(const std::string& keys = "") {
  const auto loaded = ParseRecipe(
      "name: \"r\" stage { name: \"a\" rl { prompts { task { family: \"chain\" } } advantage: "
      "\"process\" kl: 0 " +
          keys +
          " reward { name: \"steps\" weight: 2 } reward { name: \"math\" } reward { name: "
          "\"format\" weight: 0 } } }",
      "r.textproto", ".", {});
  EXPECT_TRUE(loaded) << loaded.error().message;
  return Resolved(loaded->recipe).stage(0).rl();
}

using Steps = std::vector<std::pair<std::uint64_t, double>>;

void AddSample(std::int64_t tokens, const Steps& steps, double math, proto::GroupRecord& record) {
  proto::SampleRecord& sample = *record.add_sample();
  for (std::int64_t t = 0; t < tokens; ++t) {
    sample.mutable_completion()->add_ids(5);
    sample.mutable_completion()->add_logprobs(-1);
  }
  proto::Outcome& stepped = *sample.add_outcome();
  stepped.set_score(.5);
  for (const auto& [end, score] : steps) {
    stepped.add_steps()->set_token_end(end);
    stepped.mutable_steps()->rbegin()->set_score(score);
  }
  sample.add_outcome()->set_score(math);
  sample.add_outcome()->mutable_failure()->set_kind(proto::Failure::TIMEOUT);  // only watched
  sample.set_total(1 + math);
}

TEST(StepRewardsTest, ComponentsAddUpWhereTheirStepsEnd) {
  proto::GroupRecord record;
  AddSample(5, {{2, 1}, {5, 0}}, 1, record);
  AddSample(3, {}, 0, record);
  record.add_sample()->mutable_completion()->add_ids(5);  // without a total
  const auto steps = StepRewardsOf(RlOf(), record);
  ASSERT_EQ(steps.size(), 3U);
  ASSERT_EQ(steps[0].size(), 2U);
  EXPECT_EQ(steps[0][0].end, 2);
  EXPECT_EQ(steps[0][0].reward, 2);
  EXPECT_EQ(steps[0][1].end, 5);
  EXPECT_EQ(steps[0][1].reward, 2 * 0 + 1);
  ASSERT_EQ(steps[1].size(), 1U);
  EXPECT_EQ(steps[1][0].end, 3);
  EXPECT_EQ(steps[1][0].reward, 2 * .5 + 0);  // its score stands at the end
  EXPECT_TRUE(steps[2].empty());
}

// {.2, .9} and {.4, .1, .9}: DeepSeekMath 4.1.3 worked out with the population's deviation.
TEST(StepRewardsTest, SamplesGetTheWorkedAdvantages) {
  const proto::Rl rl = RlOf("advantage_std: \"population\" advantage_epsilon: 0");
  std::vector<ScoredGroup> groups(1);
  proto::GroupRecord& record = groups[0].record;
  record.add_prompt_ids(1);
  AddSample(4, {{1, .1}, {4, .45}}, 0, record);
  AddSample(6, {{2, .2}, {3, .05}, {6, .45}}, 0, record);
  const auto samples = MakeSamples(rl, groups, {});
  ASSERT_TRUE(samples);
  ASSERT_EQ(samples->size(), 2U);
  const std::vector<std::vector<float>> want = {
      {.2936101F, 1.1744404F, 1.1744404F, 1.1744404F},
      {-.2936101F, -.2936101F, 0, 1.1744404F, 1.1744404F, 1.1744404F}};
  for (std::size_t i = 0; i < want.size(); ++i) {
    ASSERT_EQ((*samples)[i].advantages.size(), want[i].size());
    for (std::size_t t = 0; t < want[i].size(); ++t)
      EXPECT_NEAR((*samples)[i].advantages[t], want[i][t], 1e-6);
  }
  EXPECT_EQ(record.sample(1).token_advantage_size(), 6);
  EXPECT_EQ(record.sample(1).token_advantage(5), (*samples)[1].advantages[5]);
  EXPECT_NEAR(record.sample(0).advantage(), (.2936101 + 3 * 1.1744404) / 4, 1e-6);
}

// Totals may be equal where the steps are not.
TEST(StepRewardsTest, SignalIsADifferenceOfSteps) {
  std::vector<ScoredGroup> groups(2);
  AddSample(4, {{2, 1}, {4, 0}}, 0, groups[0].record);
  AddSample(4, {{2, 0}, {4, 1}}, 0, groups[0].record);
  AddSample(4, {{2, 1}, {4, 1}}, 0, groups[1].record);
  AddSample(4, {{4, 1}}, 0, groups[1].record);
  const proto::Rl rl = RlOf("group_filter: \"drop\"");
  EXPECT_TRUE(HasSignal(rl, groups[0].record));
  EXPECT_FALSE(HasSignal(rl, groups[1].record));
  EXPECT_EQ(ShareWithoutSignal(rl, groups), .5);
  EXPECT_EQ(MakeSamples(rl, groups, {})->size(), 2U);
  proto::Rl by_total = rl;
  by_total.set_advantage("group");
  EXPECT_FALSE(HasSignal(by_total, groups[0].record));
}

}  // namespace
}  // namespace aha::pipelines
