#include "pipelines/recipes/explain.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "pipelines/recipes/schema.h"

namespace aha::pipelines {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(Explain, SaysAllThatTheSchemaKnows) {
  EXPECT_EQ(Explain("rl.reference_every").value_or(""),
            "stage.rl.reference_every\n"
            "  The reference becomes the policy every so many steps; 0: never.\n"
            "  type      whole number\n"
            "  default   400\n"
            "  range     at most 100000000\n"
            "  source    R1-Zero: 400\n"
            "  read      only when kl > 0\n");
}

TEST(Explain, TakesBareNamesEndsAndWholePaths) {
  const auto whole = Explain("stage.rl.clip_low");
  ASSERT_TRUE(whole) << whole.error().message;
  EXPECT_THAT(*whole, HasSubstr("Ratios are clipped to [1 - clip_low, 1 + clip_high]."));
  EXPECT_EQ(Explain("rl.clip_low").value_or(""), *whole);
  EXPECT_EQ(Explain("clip_low").value_or(""), *whole);
  EXPECT_THAT(Explain("recipe.seed").value_or(""), HasSubstr("Seed of every random draw"));
}

TEST(Explain, ListsEveryMessageThatHasTheKey) {
  const std::string text = Explain("temperature").value_or("");
  EXPECT_THAT(text, HasSubstr("stage.rl.temperature\n"));
  EXPECT_THAT(text, HasSubstr("stage.reject.temperature\n"));
  const std::string shared = Explain("optimizer.learning_rate").value_or("");
  EXPECT_THAT(
      shared,
      HasSubstr("stage.pretrain.optimizer.learning_rate\nstage.sft.optimizer.learning_rate\n"
                "stage.rl.optimizer.learning_rate\n  Peak learning rate."));
}

TEST(Explain, AllowedValuesAreQuoted) {
  EXPECT_THAT(
      Explain("schedule").value_or(""),
      HasSubstr("  allowed   \"constant\", \"cosine\", \"multi_step\", \"stable_decay\"\n"));
  EXPECT_THAT(Explain("family").value_or(""), HasSubstr("none: it must be set"));
}

TEST(Explain, AKeyWithoutACommentPointsToTheOneAbove) {
  EXPECT_THAT(Explain("rl.clip_high").value_or(""), HasSubstr("See clip_low: Ratios are clipped"));
}

TEST(Explain, MessagesListTheirKeys) {
  const std::string text = Explain("Optimizer").value_or("");
  EXPECT_THAT(text, HasSubstr("learning_rate              number, default 0.0003\n"));
  const std::string rl = Explain("rl").value_or("");
  EXPECT_THAT(rl, HasSubstr("Reinforcement learning with GRPO."));
  EXPECT_THAT(rl, HasSubstr("reward                     list of RewardTerm\n"));
  EXPECT_THAT(Explain("Recipe").value_or(""), HasSubstr("    seed "));
}

TEST(Explain, UnknownKeysAreAnsweredWithTheNearest) {
  const auto near = Explain("rl.clip_lwo");
  ASSERT_FALSE(near);
  EXPECT_EQ(near.error().code, Code::kNotFound);
  EXPECT_EQ(near.error().message, "rl.clip_lwo: no such key; did you mean `rl.clip_low`?");
  EXPECT_EQ(Explain("lerning_rate").error().message,
            "lerning_rate: no such key; did you mean `learning_rate`?");
  EXPECT_THAT(Explain("zzzzzz").error().message, HasSubstr("`aha explain Recipe` lists the keys"));
  EXPECT_THAT(Explain("").error().message, HasSubstr("no such key"));
}

TEST(Explain, AnswersForEveryKeyOfTheSchema) {
  for (const auto& [path, key] : AllKeyPaths()) {
    const auto text = Explain(path);
    ASSERT_TRUE(text) << path;
    EXPECT_THAT(*text, HasSubstr("  type ")) << path;
  }
}

}  // namespace
}  // namespace aha::pipelines
