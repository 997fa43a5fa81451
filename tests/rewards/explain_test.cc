// What rewards say of themselves: `aha score --explain`.

#include <map>
#include <string>

#include <gtest/gtest.h>

#include "rewards/registry.h"

namespace aha::rewards {
namespace {

std::map<std::string, std::string> Explained(const char* reward,
                                             std::string_view completion,
                                             std::string_view reference = {},
                                             std::string_view language = {}) {
  const auto made = Registry::BuiltIns().Make(reward, "");
  EXPECT_TRUE(made.has_value());
  std::map<std::string, std::string> out;
  for (const Finding& finding : (*made)->Explain({.id = {},
                                .prompt = {},
                                .completion = completion,
                                .reference = reference,
                                .language = language}))
    out[finding.name] = finding.text;
  return out;
}

TEST(Explain, FormatSaysWhereEachTagStandsAndWhatIsWrong) {
  auto said = Explained("format", " <think>a\nb</think> x <answer>1</answer>");
  EXPECT_EQ(said["<think>"], "once, at byte 1");
  EXPECT_EQ(said["thought"], "a\\nb");
  EXPECT_EQ(said["answer"], "1");
  EXPECT_EQ(said["before"], "\" \"");
  EXPECT_EQ(said["between"], "\" x \"");
  EXPECT_EQ(said["well_formed"], "no: text before <think>");
  said = Explained("format", "<think>a</think><think><answer>1</answer>");
  EXPECT_EQ(said["<think>"], "2 times, first at byte 0");
  EXPECT_EQ(said.count("thought"), 0U);
  EXPECT_EQ(Explained("format", "nothing")["</answer>"], "not there");
  EXPECT_EQ(Explained("format", "<think>a</think><answer>1</answer>")["well_formed"], "yes");
}

TEST(Explain, LanguageShowsWhatItCountedAndWhichWordsAreNot) {
  auto said = Explained("language", "<think>so we add 二和 to $x$ now</think>", {}, "en");
  EXPECT_EQ(said["target"], "en (Latin)");
  EXPECT_EQ(said["words"], "7");
  EXPECT_EQ(said["in_target"], "5");
  EXPECT_EQ(said["other_script"], "二, 和");
  EXPECT_EQ(said["read"], "so we add 二和 to   now");
  EXPECT_EQ(Explained("language", "a", {}, "q!").count("words"), 0U);
}

TEST(Explain, MathSaysWhatWasReadAndWhy) {
  auto said = Explained("math", "Thus \\boxed{\\frac{84}{2}}", "42");
  EXPECT_EQ(said["found"], "box");
  EXPECT_EQ(said["extracted"], "\\frac{84}{2}");
  EXPECT_EQ(said["answer_parsed"], "(84/2)");
  EXPECT_EQ(said["why"], "the same rational number");
  said = Explained("math", "The answer is 41.", "42");
  EXPECT_EQ(said["found"], "phrase");
  EXPECT_EQ(said["why"], "different rational numbers");
  EXPECT_EQ(Explained("math", "hm", "42")["why"],
            "no <answer>, \\boxed{}, \"answer is\", formula or number was found");
  EXPECT_EQ(Explained("math", "\\boxed{}", "42")["why"], "the <answer> or \\boxed{} is empty");
  EXPECT_EQ(Explained("math", "\\boxed{0.333}", "1/3")["rule"], "few decimals");
  EXPECT_EQ(Explained("math", "\\boxed{0.334}", "1/3")["rule"], "exact");
  EXPECT_EQ(Explained("math", "\\boxed{" + std::string(70000, '1') + "}", "42")["why"],
            "the answer has 70000 bytes; over 65536 it is not read");
  EXPECT_EQ(Explained("exact", "The answer is  Paris", "paris")["answer"], "paris");
  EXPECT_EQ(Explained("math", "5 cm", "5 m")["why"], "units or quantities differ");
  EXPECT_NE(Explained("math", "1", "\\frac{1")["fault"], "");
}

}  // namespace
}  // namespace aha::rewards
