#include "pipelines/recipes/presets.h"

#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "pipelines/recipes/explain.h"
#include "pipelines/recipes/recipe.h"
#include "pipelines/recipes/resolve.h"
#include "pipelines/recipes/schema.h"

namespace aha::pipelines {
namespace {

using testing::HasSubstr;
using testing::Not;

Result<LoadedRecipe> Load(const std::string& keys) {
  return ParseRecipe(
      "name: \"r\"\nstage { name: \"a\" rl { prompts { task { family: \"chain\" } } reward { name: "
      "\"math\" }\n" +
          keys + "\n} }",
      "r.textproto", ".", {});
}

proto::Rl ResolvedRl(const std::string& keys) {
  const auto loaded = Load(keys);
  EXPECT_TRUE(loaded) << loaded.error().message;
  return loaded ? Resolved(loaded->recipe).stage(0).rl() : proto::Rl();
}

TEST(Presets, SetKeysThatAreThereToValuesThatAreAllowed) {
  const auto* type = proto::Rl::descriptor();
  const auto& names = OptionsOf(*type->FindFieldByName("algorithm")).one_of();
  EXPECT_EQ(static_cast<std::size_t>(names.size()), Presets().size());
  for (const Preset& preset : Presets()) {
    EXPECT_NE(std::find(names.begin(), names.end(), preset.name), names.end()) << preset.name;
    EXPECT_TRUE(Load("algorithm: \"" + std::string(preset.name) + "\"")) << preset.name;
    for (const auto& [key, value] : preset.values) {
      const Field* field = type->FindFieldByName(std::string(key));
      ASSERT_NE(field, nullptr) << key;
      const auto& allowed = OptionsOf(*field).one_of();
      EXPECT_TRUE(allowed.empty() ||
                  std::find(allowed.begin(), allowed.end(), value) != allowed.end())
          << preset.name << " " << key;
      proto::Rl rl;
      rl.set_algorithm(std::string(preset.name));
      FillPreset(rl);
      EXPECT_TRUE(IsRead(rl, *field)) << preset.name << " " << key;
    }
  }
}

TEST(Presets, GiveTheValuesOfThePapers) {
  const proto::Rl grpo = ResolvedRl("");
  EXPECT_EQ(grpo.algorithm(), "grpo");
  EXPECT_EQ(grpo.clip_low(), .2);
  EXPECT_EQ(grpo.kl(), .001);
  EXPECT_EQ(grpo.aggregation(), "sequence");
  const proto::Rl dapo = ResolvedRl("algorithm: \"dapo\"");
  EXPECT_EQ(dapo.clip_low(), .2);
  EXPECT_EQ(dapo.clip_high(), .28);
  EXPECT_EQ(dapo.kl(), 0);
  EXPECT_EQ(dapo.aggregation(), "token");
  EXPECT_EQ(dapo.group_filter(), "refill");
  EXPECT_FALSE(dapo.has_reference_every());
  const proto::Rl gspo = ResolvedRl("algorithm: \"gspo\"");
  EXPECT_EQ(gspo.ratio(), "sequence");
  EXPECT_EQ(gspo.clip_low(), 3e-4);
  EXPECT_EQ(gspo.clip_high(), 4e-4);
  const proto::Rl dr = ResolvedRl("algorithm: \"dr_grpo\"");
  EXPECT_EQ(dr.advantage_std(), "none");
  EXPECT_EQ(dr.aggregation(), "constant");
  EXPECT_EQ(ResolvedRl("algorithm: \"cispo\"").clip(), "weight");
  EXPECT_EQ(ResolvedRl("algorithm: \"rloo\"").advantage(), "leave_one_out");
  EXPECT_EQ(ResolvedRl("algorithm: \"reinforce_pp\"").kl_in(), "reward");
}

TEST(Presets, EachPieceCanBeSetOtherwise) {
  const proto::Rl dapo = ResolvedRl("algorithm: \"dapo\" clip_high: 0.5 kl: 0.01");
  EXPECT_EQ(dapo.clip_high(), .5);
  EXPECT_EQ(dapo.kl(), .01);
  EXPECT_EQ(dapo.kl_estimate(), "k3");
  EXPECT_EQ(dapo.aggregation(), "token");
  // What the preset set and nothing reads any more is not written out.
  const proto::Rl free = ResolvedRl("algorithm: \"gspo\" clip: \"none\"");
  EXPECT_FALSE(free.has_clip_low());
  const proto::Rl without = ResolvedRl("algorithm: \"rloo\" kl: 0");
  EXPECT_FALSE(without.has_kl_in());
  const proto::Rl process = ResolvedRl("algorithm: \"rloo\" advantage: \"process\"");
  EXPECT_FALSE(process.has_kl_in());  // KL of steps counts in the loss
}

struct UnreadCase {
  const char* name;
  const char* keys;
  const char* message;
};
class UnreadTest : public testing::TestWithParam<UnreadCase> {};
TEST_P(UnreadTest, IsRefused) {
  const auto loaded = Load(GetParam().keys);
  ASSERT_FALSE(loaded);
  EXPECT_THAT(loaded.error().message, HasSubstr(GetParam().message));
}
INSTANTIATE_TEST_SUITE_P(
    Table,
    UnreadTest,
    testing::Values(
        UnreadCase{
            "ReferenceOfDapo", "algorithm: \"dapo\" reference_every: 9",
            "`reference_every` is set but never read because kl is 0; remove it or set kl above 0"},
        UnreadCase{"StdOfRloo", "algorithm: \"rloo\" advantage_std: \"sample\"",
                   "`advantage_std` is set but never read because advantage is \"leave_one_out\""},
        UnreadCase{"KlInOfProcess", "advantage: \"process\" kl_in: \"loss\"",
                   "`kl_in` is set but never read because advantage is \"process\""},
        UnreadCase{"EpsilonOfDrGrpo", "algorithm: \"dr_grpo\" advantage_epsilon: 0",
                   "`advantage_epsilon` is set but never read because advantage_std is \"none\""},
        UnreadCase{"DualClipOfCispo", "algorithm: \"cispo\" dual_clip: 3",
                   "`dual_clip` is set but never read because clip is \"weight\""},
        UnreadCase{"RatioOfKlInReward", "algorithm: \"reinforce_pp\" kl_times_ratio: true",
                   "`kl_times_ratio` is set but never read because kl_in is \"reward\""},
        UnreadCase{
            "LengthOfGrpo", "aggregation_length: 7",
            "`aggregation_length` is set but never read because aggregation is \"sequence\""},
        UnreadCase{"LimitWithoutRefill", "group_filter: \"drop\" refill_limit: 3",
                   "`refill_limit` is set but never read"},
        UnreadCase{"ClipOfNone", "clip: \"none\" clip_low: 0.1",
                   "`clip_low` is set but never read because clip is \"none\""},
        UnreadCase{"WeightOfNone", "off_policy_max: 3",
                   "`off_policy_max` is set but never read because off_policy is \"none\""},
        UnreadCase{"ThresholdOfOff", "alarms { kl_jump: \"off\" kl_factor: 3 }",
                   "`kl_factor` is set but never read because kl_jump is \"off\""},
        UnreadCase{"SmallDualClip", "dual_clip: 0.5", "`dual_clip` is 0.5"},
        UnreadCase{"EmptyMask", "off_policy: \"mask\" off_policy_min: 3", "nothing would be left"},
        UnreadCase{"FinalOfMultiStep", "optimizer { schedule: \"multi_step\" final_ratio: 0.5 }",
                   "`final_ratio` is set but never read because schedule is \"multi_step\""},
        UnreadCase{"DropsOutOfOrder", "optimizer { schedule: \"multi_step\" first_drop: 0.95 }",
                   "after the 0.9 of second_drop"},
        UnreadCase{"MomentsThatStall", "optimizer { moments: \"bf16\" beta2: 0.999 }",
                   "`moments` in bf16 would lose the decay of a beta2 of 0.999"},
        UnreadCase{"Unknown", "algorithm: \"dappo\"", "did you mean \"dapo\"?"}),
    [](const auto& p) { return std::string(p.param.name); });

TEST(Presets, AreExplained) {
  for (const Preset& preset : Presets()) {
    const auto text = Explain(preset.name);
    ASSERT_TRUE(text) << preset.name;
    EXPECT_THAT(*text, HasSubstr("J = ")) << preset.name;
    EXPECT_THAT(*text, HasSubstr("arXiv")) << preset.name;
    for (const auto& [key, value] : preset.values)
      EXPECT_THAT(*text, HasSubstr(std::string(key))) << preset.name;
  }
  EXPECT_THAT(*Explain("dapo"), HasSubstr("clip_high            0.28  (set by the preset)"));
  EXPECT_THAT(*Explain("gspo"), Not(HasSubstr("reference_every")));
}

TEST(Presets, AlarmsChangeNoHashButTheirsOfNan) {
  const auto hash = [](const std::string& keys) {
    return StageHash(Load(keys)->recipe, "a").value();
  };
  EXPECT_EQ(hash(""), hash("alarms { kl_jump: \"stop\" window: 5 }"));
  EXPECT_NE(hash(""), hash("alarms { not_finite: \"warn\" }"));
  EXPECT_NE(hash(""), hash("algorithm: \"dapo\""));
}

}  // namespace
}  // namespace aha::pipelines
