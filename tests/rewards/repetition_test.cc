#include "rewards/verifiers/repetition.h"

#include <string>

#include <gtest/gtest.h>

#include "rewards/registry.h"

namespace aha::rewards {
namespace {

struct GramCase {
  std::string text;
  std::size_t n;
  std::size_t distinct;
  std::size_t all;
};

const GramCase kGrams[] = {
    {"", 3, 0, 0},
    {"one two", 3, 0, 0},
    {"one two three", 3, 1, 1},
    {"a b c a b c", 3, 3, 4},  // abc bca cab abc
    {"a a a a a", 2, 1, 4},
    {"A a", 1, 1, 2},          // case folded
    {"so,  so\nso", 1, 2, 3},  // punctuation stays with its word
    {"我们我们", 2, 2, 3},     // 我们 们我 我们
    {"so我们so我们", 3, 3, 4},
    {"x y x z", 2, 3, 3},
    {"ab c a bc", 1, 4, 4},  // words, not letters
    {"one two three", 1, 3, 3},
};

TEST(Repetition, CountsNGramsOfWords) {
  for (const auto& c : kGrams) {
    const NGrams grams = CountNGrams(c.text, c.n);
    EXPECT_EQ(grams.distinct, c.distinct) << c.text;
    EXPECT_EQ(grams.all, c.all) << c.text;
  }
}

Outcome ScoreWith(const std::string& config, std::string_view text) {
  const auto reward = Registry::BuiltIns().Make("repetition", config);
  EXPECT_TRUE(reward.has_value()) << reward.error().message;
  return (*reward)->Score(
      {.id = {}, .prompt = {}, .completion = text, .reference = {}, .language = {}});
}

// What Open-R1's get_repetition_penalty_reward(3, -1.0) gives: by hand, (1 - distinct / all) * -1.
TEST(Repetition, IsTheShareOfRepeatedNGrams) {
  EXPECT_EQ(ScoreWith("", "all of these words differ").score(), 0);
  EXPECT_DOUBLE_EQ(ScoreWith("", "a b c a b c").score(), -0.25);
  EXPECT_DOUBLE_EQ(ScoreWith("max_penalty: 2", "a b c a b c").score(), -0.5);
  EXPECT_DOUBLE_EQ(ScoreWith("ngram_size: 2", "a a a a a").score(), -0.75);
  EXPECT_EQ(ScoreWith("", "too short").score(), 0);
  EXPECT_EQ(ScoreWith("", "\xFF\xFE \xFF\xFE \xFF\xFE \xFF\xFE").score(), -0.5) << "any bytes";
}

TEST(Repetition, IsLinearInLongText) {
  std::string same;
  std::string counting;
  for (int i = 0; i < 100000; ++i) {
    same += "wait ";
    counting += std::to_string(i) + " ";
  }
  EXPECT_LT(ScoreWith("", same).score(), -0.99);
  EXPECT_EQ(ScoreWith("ngram_size: 20", counting).score(), 0);
}

}  // namespace
}  // namespace aha::rewards
