#include "pipelines/recipes/overrides.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/recipes/sample_recipe.h"

namespace aha::pipelines {
namespace {

TEST(Override, SetsKeysOfEveryTypeAndPlace) {
  const auto loaded =
      Parse(kSample, {"seed=3", "model=/models/x", "threads=2", "plugin=a.so,b.so",
                      "zero.init=model", "zero.steps=40", "zero.optimizer.learning_rate=1e-4",
                      "zero.prompts.template=plain", "zero.reward[1].weight=0.25",
                      "zero.mtp_to_trunk=true", "zero.prompts.task[0].band=1,3",
                      "zero.prompts.task[0].band[1]=2", "cold-data.keep[0].min_score=0.5"});
  ASSERT_TRUE(loaded) << loaded.error().message;
  const proto::Recipe& recipe = loaded->recipe;
  EXPECT_EQ(recipe.seed(), 3U);
  EXPECT_EQ(recipe.model(), "/models/x");
  EXPECT_EQ(recipe.threads(), 2U);
  ASSERT_EQ(recipe.plugin_size(), 2);
  EXPECT_EQ(recipe.plugin(1), "b.so");
  EXPECT_EQ(recipe.stage(2).init(), "model");
  const proto::Rl& rl = recipe.stage(2).rl();
  EXPECT_EQ(rl.steps(), 40U);
  EXPECT_EQ(rl.optimizer().learning_rate(), 1e-4);
  EXPECT_EQ(rl.prompts().template_(), "plain");
  EXPECT_EQ(rl.reward(1).weight(), 0.25);
  EXPECT_TRUE(rl.mtp_to_trunk());
  ASSERT_EQ(rl.prompts().task(0).band_size(), 2);
  EXPECT_EQ(rl.prompts().task(0).band(0), 1U);
  EXPECT_EQ(rl.prompts().task(0).band(1), 2U);
  EXPECT_EQ(recipe.stage(0).reject().keep(0).min_score(), 0.5);
}

TEST(Override, ALaterOneWins) {
  const auto loaded = Parse(kSample, {"seed=3", "seed=4"});
  ASSERT_TRUE(loaded);
  EXPECT_EQ(loaded->recipe.seed(), 4U);
}

TEST(Override, CanSwapGeneratedProblemsForAFile) {
  const auto loaded = Parse(kSample, {"zero.prompts.task=", "zero.prompts.jsonl.path=gsm8k.jsonl"});
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_EQ(loaded->recipe.stage(2).rl().prompts().jsonl().path(), "gsm8k.jsonl");
}

TEST(Override, TextKeepsEqualsSignsAndDots) {
  const auto loaded = Parse(kSample, {"zero.reward[0].config=a.b: 1=2"});
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_EQ(loaded->recipe.stage(2).rl().reward(0).config(), "a.b: 1=2");
}

struct BadOverride {
  std::string name, text, want;
};
void PrintTo(const BadOverride& c, std::ostream* os) {
  *os << c.text;
}

class BadOverrideTest : public testing::TestWithParam<BadOverride> {};

TEST_P(BadOverrideTest, IsRefusedByName) {
  EXPECT_EQ(Refusal(kSample, {GetParam().text}),
            fmt::format("--set {}: {}", GetParam().text, GetParam().want));
}

INSTANTIATE_TEST_SUITE_P(
    Table,
    BadOverrideTest,
    testing::Values(
        BadOverride{"UnknownKey", "zero.stpes=40",
                    "unknown key `stpes` in stage zero (rl); did you mean `steps`?"},
        BadOverride{"UnknownInnerKey", "zero.optimizer.lr=1",
                    "unknown key `lr` in optimizer; valid here: learning_rate, beta1, beta2, "
                    "epsilon, weight_decay, "
                    "clip_norm, warmup_steps, schedule, final_ratio, first_drop, second_drop, "
                    "drop_ratio, decay_share, moments"},
        BadOverride{"UnknownTopKey", "sed=3",
                    "unknown key `sed` in the recipe (a stage's keys are written STAGE.KEY); did "
                    "you mean `seed`?"},
        BadOverride{"UnknownStage", "zeor.steps=3",
                    "no stage is named `zeor`; did you mean `zero`?"},
        BadOverride{
            "KeyOfOtherKind", "cold.kl=0",
            "unknown key `kl` in stage cold (sft); valid here: from, jsonl, template, epochs, "
            "max_steps, "
            "batch, max_tokens, optimizer, moe, mtp_loss, micro_batch_tokens, commit_every"},
        BadOverride{"NotWhole", "zero.steps=4.5", "`4.5` is not a whole number"},
        BadOverride{"Negative", "zero.steps=-4", "`-4` is not a whole number"},
        BadOverride{"TooLarge", "zero.steps=4294967296", "`4294967296` is not a whole number"},
        BadOverride{"EmptyNumber", "zero.steps=", "`` is not a whole number"},
        BadOverride{"NotANumber", "zero.kl=small", "`small` is not a number"},
        BadOverride{"Nan", "zero.kl=nan", "`nan` is not a number"},
        BadOverride{"NotABool", "zero.mtp_to_trunk=yes", "`yes` is not true or false"},
        BadOverride{"NoEquals", "zero.steps",
                    "write it as KEY=VALUE, for example zero.steps=40 or seed=3"},
        BadOverride{"EmptyPart", "zero..steps=3", "the key has an empty part"},
        BadOverride{"BadIndex", "zero.reward[x].weight=1",
                    "`reward[x]`: an index is written as in reward[1]"},
        BadOverride{"IndexBeyond", "zero.reward[2].weight=1",
                    "`reward[2]` does not exist: there are 2, counted from 0"},
        BadOverride{"IndexOfScalar", "zero.steps[0]=1", "`steps` is not a list: drop the index"},
        BadOverride{"ListWithoutIndex", "zero.reward.weight=1",
                    "`reward` is a list: name one, as in reward[0].weight"},
        BadOverride{"ListOfGroups", "zero.reward=math",
                    "`reward` is a list of groups of keys: name one, as in reward[0].name"},
        BadOverride{"Group", "zero.moe=1",
                    "`moe` holds keys, not a value; valid here: bias_update, balance_loss"},
        BadOverride{"BelowScalar", "zero.steps.x=1",
                    "`steps` is a whole number and has no key `x`"},
        BadOverride{"OutOfRange", "zero.temperature=20",
                    "`temperature` is 20; it must be from 0.05 to 10"},
        BadOverride{"NeverRead", "zero.optimizer.final_ratio=0.5",
                    "`final_ratio` is set but never read because schedule is \"constant\"; remove "
                    "it or set "
                    "schedule to something other than \"constant\""},
        BadOverride{
            "StageRenamed", "zero.name=x",
            "unknown key `name` in stage zero (rl); valid here: prompts, reward, steps, "
            "prompts_per_step, "
            "group_size, max_new_tokens, temperature, updates_per_step, clip_low, clip_high, kl, "
            "reference_every, advantage_std, aggregation, optimizer, moe, mtp_loss, mtp_to_trunk, "
            "micro_batch_tokens, prompts_per_unit, commit_every, reward_timeout_s, "
            "rollout_timeout_s, algorithm, advantage, advantage_epsilon, ratio, clip, dual_clip, "
            "aggregation_length, kl_estimate, kl_in, kl_times_ratio, off_policy, off_policy_level, "
            "off_policy_max, off_policy_min, off_policy_drop, group_filter, refill_limit, "
            "mask_truncated, alarms"}),
    [](const auto& p) { return p.param.name; });

}  // namespace
}  // namespace aha::pipelines
