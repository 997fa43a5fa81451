#include "pipelines/recipes/resolve.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/recipes/sample_recipe.h"

namespace aha::pipelines {
namespace {

using testing::HasSubstr;
using testing::Not;

proto::Recipe Sample(const std::vector<std::string>& overrides = {}) {
  auto loaded = Parse(kSample, overrides);
  if (!loaded) throw std::invalid_argument(loaded.error().message);
  return loaded->recipe;
}

std::string Hash(const proto::Recipe& recipe, std::string_view stage) {
  return StageHash(recipe, stage).value_or("none");
}

TEST(ResolvedText, LoadsAgainToTheSameText) {
  const std::string text = ResolvedText(Sample());
  const auto again = Parse(text);
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(ResolvedText(again->recipe), text);
}

TEST(ResolvedText, WritesEveryDefaultThatIsRead) {
  const std::string text = ResolvedText(Sample());
  EXPECT_THAT(text, HasSubstr("seed: 1\n"));
  EXPECT_THAT(text, HasSubstr("rollout_endpoint: \"\"\n"));
  EXPECT_THAT(text, HasSubstr("    reference_every: 400\n"));
  EXPECT_THAT(text, HasSubstr("      learning_rate: 0.0003\n"));  // of an optimizer nobody wrote
  EXPECT_THAT(text, HasSubstr("      weight: 0.5\n"));
}

TEST(ResolvedText, LeavesOutWhatIsNotRead) {
  const std::string text = ResolvedText(Sample({"zero.kl=0", "zero.mtp_loss=0"}));
  EXPECT_THAT(text, Not(HasSubstr("reference_every")));
  EXPECT_THAT(text, Not(HasSubstr("mtp_to_trunk")));
  EXPECT_THAT(text, Not(HasSubstr("final_ratio")));
  EXPECT_THAT(text, Not(HasSubstr("rollout_workers")));
  EXPECT_THAT(text, Not(HasSubstr("jsonl")));
  EXPECT_THAT(ResolvedText(Sample({"zero.optimizer.schedule=cosine"})),
              HasSubstr("final_ratio: 0.1\n"));
}

TEST(ResolvedText, NamesNoModelAndNoInitThatNobodyReads) {
  const auto loaded =
      Parse("name: \"r\" stage { name: \"a\" pretrain { corpus { task { family: \"c\" } } } }");
  ASSERT_TRUE(loaded) << loaded.error().message;
  const std::string text = ResolvedText(loaded->recipe);
  EXPECT_THAT(text, Not(HasSubstr("model:")));
  EXPECT_THAT(text, Not(HasSubstr("init:")));
  EXPECT_THAT(text, HasSubstr("hidden_size: 128\n"));
  EXPECT_TRUE(Parse(text));
}

TEST(StageHash, ChangesWithWhatDeterminesTheStage) {
  const std::string hash = Hash(Sample(), "zero");
  EXPECT_EQ(hash.size(), 64U);
  for (const char* change : {"seed=2", "zero.steps=61", "zero.init=model",
                             "zero.optimizer.beta1=0.8", "zero.reward[0].weight=2"}) {
    EXPECT_NE(Hash(Sample({change}), "zero"), hash) << change;
  }
}

TEST(StageHash, IgnoresSiblingsNamesAndEndpoints) {
  const std::string hash = Hash(Sample(), "zero");
  for (const char* change :
       {"cold.epochs=3", "cold-data.samples=9", "name=other", "threads=1", "zero.commit_every=7",
        "reward_endpoint=tcp://127.0.0.1:1", "rollout_endpoint=ipc:///tmp/x", "plugin=a.so"}) {
    EXPECT_EQ(Hash(Sample({change}), "zero"), hash) << change;
  }
}

TEST(StageHash, DoesNotDependOnHowADefaultIsSpelled) {
  EXPECT_EQ(Hash(Sample({"zero.steps=60", "zero.optimizer.beta1=0.9", "seed=1"}), "zero"),
            Hash(Sample(), "zero"));
  EXPECT_EQ(Hash(Resolved(Sample()), "zero"), Hash(Sample(), "zero"));
}

TEST(StageHash, NamesTheNearestStage) {
  const auto hash = StageHash(Sample(), "zreo");
  ASSERT_FALSE(hash);
  EXPECT_EQ(hash.error().message, "no stage is named `zreo`; did you mean `zero`?");
}

}  // namespace
}  // namespace aha::pipelines
