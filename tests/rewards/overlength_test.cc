#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "rewards/registry.h"

namespace aha::rewards {
namespace {

Outcome ScoreWith(const std::string& config,
                  std::uint32_t tokens,
                  std::string_view completion = "x") {
  const auto reward = Registry::BuiltIns().Make("overlength", config);
  EXPECT_TRUE(reward.has_value()) << reward.error().message;
  return (*reward)->Score({.id = {},
                           .prompt = {},
                           .completion = completion,
                           .reference = {},
                           .language = {},
                           .tokens = tokens});
}

struct LengthCase {
  std::string config;
  std::uint32_t tokens;
  double score;
};

// DAPO, equation 13, with its L_max 20480 and L_cache 4096; then other bounds.
const LengthCase kLengths[] = {
    {"", 1, 0},
    {"", 16384, 0},
    {"", 16385, -1.0 / 4096},
    {"", 18432, -0.5},
    {"", 20479, -4095.0 / 4096},
    {"", 20480, -1},
    {"", 20481, -1},
    {"", 4000000000U, -1},
    {"max_length: 100 cache: 20", 80, 0},
    {"max_length: 100 cache: 20", 90, -0.5},
    {"max_length: 100 cache: 20", 100, -1},
    {"max_length: 100 cache: 0", 100, 0},
    {"max_length: 100 cache: 0", 101, -1},
    {"max_length: 100 cache: 100", 50, -0.5},
};

TEST(Overlength, IsDaposSoftPunishment) {
  for (const auto& c : kLengths)
    EXPECT_DOUBLE_EQ(ScoreWith(c.config, c.tokens).score(), c.score) << c.config << " " << c.tokens;
}

TEST(Overlength, FailsWhenTheLengthIsNotSaid) {
  EXPECT_EQ(ScoreWith("", 0).failure().kind(), proto::Failure::BAD_REFERENCE);
  EXPECT_EQ(ScoreWith("", 0, "").score(), 0) << "an empty completion has no tokens";
}

TEST(Overlength, RefusesACacheBeyondTheLength) {
  const auto made = Registry::BuiltIns().Make("overlength", "max_length: 10 cache: 11");
  ASSERT_FALSE(made.has_value());
  EXPECT_THAT(made.error().message, testing::HasSubstr("cache"));
}

}  // namespace
}  // namespace aha::rewards
