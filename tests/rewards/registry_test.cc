#include "rewards/registry.h"

#include <stdexcept>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace aha::rewards {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

TEST(Registry, ListsItsBuiltInsByName) {
  std::vector<std::string> names;
  for (const auto& info : Registry::BuiltIns().List()) {
    names.push_back(info.name);
    EXPECT_FALSE(info.doc.empty()) << info.name;
    EXPECT_TRUE(info.file.empty());
    for (const auto& key : info.keys)
      EXPECT_FALSE(key.doc.empty()) << key.name;
  }
  EXPECT_THAT(names, ElementsAre("code", "exact", "format", "instructions", "language", "math",
                                 "overlength", "repetition", "steps"));
}

TEST(Registry, MakesEveryBuiltInWithDefaults) {
  const Registry registry = Registry::BuiltIns();
  for (const auto& info : registry.List()) {
    const auto made = registry.Make(info.name, "");
    // Where the kernel gives no sandbox, code says so.
    const bool refused = !made && info.name == "code" && made.error().code == Code::kInternal;
    EXPECT_TRUE(made.has_value() || refused) << info.name;
  }
}

TEST(Registry, NamesTheNearestOfAnUnknownName) {
  const auto made = Registry::BuiltIns().Make("fromat", "");
  ASSERT_FALSE(made.has_value());
  EXPECT_EQ(made.error().code, Code::kNotFound);
  EXPECT_THAT(made.error().message, AllOf(HasSubstr("'fromat'"), HasSubstr("did you mean format")));
}

TEST(Registry, NamesAllWhenNoneIsNear) {
  const auto made = Registry::BuiltIns().Make("zzzzzzzz", "");
  ASSERT_FALSE(made.has_value());
  EXPECT_THAT(
      made.error().message,
      HasSubstr("code, exact, format, instructions, language, math, overlength, repetition"));
}

struct ConfigCase {
  std::string reward, config, message;
};

TEST(Registry, RefusesConfigThatDoesNotFit) {
  const ConfigCase cases[] = {
      {"language", "no_word_score: 1", "did you mean no_words_score"},
      {"language", "qqqq: 1", "its keys are no_words_score, target"},
      {"language", "no_words_score: 'a'", "1:17"},
      {"language", "\n  no_words_score: 1e9", "at most 1000"},
      {"language", "no_words_score: nan", "finite"},
      {"language", "no_words_score: 1 no_words_score: 2", "no_words_score"},
      {"language", "no_words_score", "1:15"},
      {"language", "target: 'klingonese'", "klingonese"},
      {"language", "\xFF", "UTF-8"},
      {"format", "tolerance: 1", "it has no keys"},
      {"math", "tolerance: 1", "its keys are decimals"},
      {"math", "decimals: -2", "at least -1"},
  };
  const Registry registry = Registry::BuiltIns();
  for (const auto& c : cases) {
    const auto made = registry.Make(c.reward, c.config);
    ASSERT_FALSE(made.has_value()) << c.config;
    EXPECT_EQ(made.error().code, Code::kInvalidArgument) << c.config;
    EXPECT_THAT(made.error().message, AllOf(HasSubstr(c.reward), HasSubstr(c.message)));
  }
}

class Odd : public Reward {
 public:
  [[nodiscard]] Outcome Score(const ScoreInput& input) const override {
    if (input.completion == "empty") return {};
    throw std::runtime_error("odd\nsecond line");
  }
};

TEST(Registry, RefusesANameThatIsTaken) {
  Registry registry = Registry::BuiltIns();
  const RewardFactory factory = [](const Config&) -> Result<std::unique_ptr<Reward>> {
    return std::make_unique<Odd>();
  };
  const auto info = [](std::string name) {
    return RewardInfo{.name = std::move(name), .doc = "odd", .keys = {}, .file = {}, .sha256 = {}};
  };
  const auto taken = registry.Add(info("math"), factory);
  ASSERT_FALSE(taken.has_value());
  EXPECT_THAT(taken.error().message, HasSubstr("'math' is taken by a built-in"));
  EXPECT_FALSE(registry.Add(info(""), factory).has_value());
  EXPECT_TRUE(registry.Add(info("odd"), factory).has_value());
  EXPECT_TRUE(registry.Make("odd", "").has_value());
  auto bad_key = info("bad");
  bad_key.keys.push_back({.name = "no-words", .doc = "", .default_value = 1.0});
  EXPECT_FALSE(registry.Add(bad_key, factory).has_value());
}

TEST(ScoreSafely, TurnsExceptionsAndNothingIntoFailures) {
  for (const std::string_view completion : {"empty", "throw"}) {
    const Outcome outcome = ScoreSafely(
        Odd(), {.id = {}, .prompt = {}, .completion = completion, .reference = {}, .language = {}});
    EXPECT_EQ(outcome.failure().kind(), proto::Failure::CRASH);
    EXPECT_THAT(outcome.failure().detail(), testing::Not(HasSubstr("second line")));
    EXPECT_GE(outcome.ms(), 0);
  }
}

TEST(NearestNames, RanksByEdits) {
  const std::vector<std::string> known = {"weight", "height", "no_words_score", "target"};
  EXPECT_THAT(NearestNames("eight", known), ElementsAre("height", "weight"));
  EXPECT_THAT(NearestNames("words", known), ElementsAre("no_words_score"));
  EXPECT_THAT(NearestNames("", known), ElementsAre());
}

}  // namespace
}  // namespace aha::rewards
