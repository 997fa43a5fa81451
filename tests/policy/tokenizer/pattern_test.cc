#include "policy/tokenizer/pattern.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "policy/tokenizer/split_regex.h"

namespace aha::policy {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::vector<std::string> MatchesOf(const SplitRegex& regex, std::string_view text) {
  RegexMatches matches(regex);
  matches.Start(text);
  std::vector<std::string> found;
  while (const auto match = matches.Next().value()) {
    found.emplace_back(text.substr(match->begin, match->end - match->begin));
  }
  return found;
}

struct MatchCase {
  std::string_view name, pattern, text;
  std::vector<std::string> want;
};
void PrintTo(const MatchCase& c, std::ostream* os) {
  *os << c.pattern;
}

class PatternTest : public testing::TestWithParam<MatchCase> {};

// What Oniguruma finds, where PCRE2 would read the same pattern otherwise.
TEST_P(PatternTest, MatchesLikeOniguruma) {
  const auto regex = SplitRegex::FromPattern(GetParam().pattern);
  ASSERT_TRUE(regex) << regex.error().message;
  EXPECT_EQ(MatchesOf(*regex, GetParam().text), GetParam().want);
}

INSTANTIATE_TEST_SUITE_P(
    Table,
    PatternTest,
    testing::Values(
        MatchCase{"MongolianSeparatorIsNoSpace", R"(\s+)", "a \u180e\u00a0b", {" ", "\u00a0"}},
        MatchCase{"WordsHaveMarks", R"(\w+)", "e\u0301²-_", {"e\u0301²", "_"}},
        MatchCase{"IntervalPlusRepeats", R"(\d{1,2}+3)", "12123", {"12123"}},
        MatchCase{"GroupIntervalPlusRepeats", R"((?:a|b){2}+b)", "ababb", {"ababb"}},
        MatchCase{"PossessiveStays", R"(a++a|b)", "aab", {"b"}},
        MatchCase{"YoungLetters", R"(\p{L}+)", "a\U00031350 ", {"a\U00031350"}},
        MatchCase{"YoungLettersNegated", R"(\P{L}+)", "a\U00031350 ", {" "}},
        MatchCase{"YoungLettersInNegatedClass", R"([^\p{L}]+)", "a\U00031350 ", {" "}},
        MatchCase{"ScriptIsNotItsExtensions", R"(\p{Han}+)", "漢\u3001字", {"漢", "字"}},
        MatchCase{"CaretInProperty", R"(\p{^L}+)", "ab1", {"1"}},
        MatchCase{"LongName", R"(\p{Letter}+)", "ab1", {"ab"}},
        MatchCase{"DollarIsALine", R"(a$)", "a\nba", {"a", "a"}},
        MatchCase{"PlainBrace", R"(a{x)", "a{x", {"a{x"}},
        MatchCase{"CodePoints", R"([\u4e00-\u9fa5\x{30}]+)", "a0一", {"0一"}},
        MatchCase{"LongS", R"((?i:'s))", "'ſ", {"'ſ"}},
        MatchCase{"EmptyMatches", R"(\d*)", "a12", {"", "12"}}),
    [](const auto& p) { return std::string(p.param.name); });

TEST(Pattern, RefusesByNameWhatItCannotTranslate) {
  const std::pair<std::string_view, std::string_view> cases[] = {
      {R"(\bword)", R"(\b)"},
      {R"([a[bc]])", "a class inside"},
      {R"([a-z&&[^b]])", "&&"},
      {R"((?m:a.b))", "group"},
      {R"(a(?i)b|c)", "group"},
      {R"((*UTF)a)", "(*"},
      {R"(\p{Nothing})", "unknown"},
      {R"(\p{Lx})", R"(\p{Lx})"},
      {R"(\h)", R"(\h)"},
      {R"([\W])", R"(\W)"},
      {"a\\", "backslash"},
      {"[abc", "without its ]"},
      {"a)", ") without"},
      {R"(\xE9)", "0x80"},
      {R"(a{,3})", "{,n}"},
      {"(a", "missing"},
      {"\xFF", "UTF-8"},
      {"", ""},
  };
  for (const auto& [pattern, want] : cases) {
    const auto regex = SplitRegex::FromPattern(pattern);
    if (want.empty()) {
      EXPECT_TRUE(regex);
      continue;
    }
    ASSERT_FALSE(regex) << pattern;
    EXPECT_EQ(regex.error().code, Code::kInvalidArgument);
    EXPECT_THAT(regex.error().message, HasSubstr(want)) << pattern;
  }
}

TEST(SplitRegex, EndlessBacktrackingIsAnError) {
  const auto regex = SplitRegex::FromPattern("(?:a|aa)+[bd]x");
  ASSERT_TRUE(regex);
  RegexMatches matches(*regex);
  const std::string text = std::string(64, 'a') + "cx";
  matches.Start(text);
  const auto found = matches.Next();
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code, Code::kExhausted);
}

TEST(SplitRegex, LiteralsAreNoPatterns) {
  const auto regex = SplitRegex::FromLiteral("a.+");
  ASSERT_TRUE(regex);
  EXPECT_THAT(MatchesOf(*regex, "abba.+b"), ElementsAre("a.+"));
}

}  // namespace
}  // namespace aha::policy
