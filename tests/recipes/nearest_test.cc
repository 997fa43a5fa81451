#include "pipelines/recipes/nearest.h"

#include <vector>

#include <gtest/gtest.h>

namespace aha::pipelines {
namespace {

const std::vector<std::string> kNames = {"steps", "kl", "clip_low", "clip_high"};

TEST(EditDistance, CountsInsertsDeletesReplacementsAndSwaps) {
  EXPECT_EQ(EditDistance("steps", "steps"), 0U);
  EXPECT_EQ(EditDistance("stpes", "steps"), 1U);
  EXPECT_EQ(EditDistance("step", "steps"), 1U);
  EXPECT_EQ(EditDistance("stexps", "steps"), 1U);
  EXPECT_EQ(EditDistance("stips", "steps"), 1U);
  EXPECT_EQ(EditDistance("", "kl"), 2U);
  EXPECT_EQ(EditDistance("kitten", "sitting"), 3U);
}

TEST(Nearest, TakesTheClosestWithinAThird) {
  EXPECT_EQ(Nearest("stpes", kNames), "steps");
  EXPECT_EQ(Nearest("clip_hgih", kNames), "clip_high");
  EXPECT_EQ(Nearest("k1", kNames), "kl");
  EXPECT_EQ(Nearest("zz", kNames), std::nullopt);
  EXPECT_EQ(Nearest("temperature", kNames), std::nullopt);
  EXPECT_EQ(Nearest(std::string(1'000'000, 's'), kNames), std::nullopt);
}

TEST(Suggestion, ListsAllWhenNoneIsNear) {
  EXPECT_EQ(Suggestion("stpes", kNames), "did you mean `steps`?");
  EXPECT_EQ(Suggestion("temperature", kNames), "valid here: steps, kl, clip_low, clip_high");
  EXPECT_EQ(Suggestion("x", {}), "there are none");
}

}  // namespace
}  // namespace aha::pipelines
