// The hand-written matchers against the regular expressions that they stand for.

#include "policy/tokenizer/fast_split.h"

#include <array>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/keyed_random.h"
#include "policy/tokenizer/split_regex.h"
#include "policy/tokenizer/utf8.h"

namespace aha::policy {
namespace {

using Ranges = std::vector<std::pair<std::size_t, std::size_t>>;

Ranges OfRegex(std::string_view pattern, std::string_view text) {
  const SplitRegex regex = SplitRegex::FromPattern(pattern).value();
  RegexMatches matches(regex);
  matches.Start(text);
  Ranges found;
  while (const auto match = matches.Next().value())
    found.emplace_back(match->begin, match->end);
  return found;
}

Ranges OfMatcher(std::string_view pattern, std::string_view text, std::size_t at_once) {
  const FastSplit split = FindFastSplit(pattern);
  std::vector<MatchRange> out(at_once);
  Ranges found;
  for (std::size_t count = at_once; count == at_once;) {
    count = split(text, found.empty() ? 0 : found.back().second, out);
    for (std::size_t i = 0; i < count; ++i)
      found.emplace_back(out[i].begin, out[i].end);
  }
  return found;
}

// Parts that meet every branch of the expressions, and random code points.
std::string RandomText(DrawSequence& draw) {
  static const std::vector<std::string> parts = {
      "a",      "Z",          "é",          "ſ",      "漢",
      "あ",     "ー",         "가",         "'",      "'s",
      "'S",     "'LL",        "'re",        "'ſ",     "1",
      "234",    "5678",       "½",          "٣",      "Ⅷ",
      " ",      "  ",         "\t",         "\n",     "\r",
      "\r\n",   "\u00a0",     "\u3000",     "\u0085", "\u180e",
      "\u200b", "\u200d",     "!",          "-",      "$",
      "_",      "€",          "“",          "、",     "\u0301",
      "\u0903", "\U0001F600", "\U000E0FFF", "\u0378", std::string(1, '\0'),
      "\x01",   "\uFFFF",     "\uD7FF",     "\uE000", "\U00010FFF"};
  std::string text;
  for (std::int64_t n = draw.Integer(0, 14); n > 0; --n) {
    if (draw.Chance(0.9)) {
      text += parts[static_cast<std::size_t>(
          draw.Integer(0, static_cast<std::int64_t>(parts.size()) - 1))];
      continue;
    }
    const auto code = static_cast<char32_t>(draw.Integer(0, 0x10FFFF));
    AppendUtf8(code >= 0xD800 && code <= 0xDFFF ? 0xFFFD : code, text);
  }
  return text;
}

class FastSplitTest : public testing::TestWithParam<std::size_t> {
 protected:
  static std::string_view Pattern() { return FastPatterns()[GetParam()]; }
};

TEST_P(FastSplitTest, FindsWhatTheExpressionFindsInRandomTexts) {
  const SplitRegex regex = SplitRegex::FromPattern(Pattern()).value();
  for (std::uint64_t i = 0; i < 8000; ++i) {
    DrawSequence draw(KeyedRandom(5, "fast split").With(i));
    const std::string text = RandomText(draw);
    RegexMatches matches(regex);
    matches.Start(text);
    Ranges expected;
    while (const auto match = matches.Next().value())
      expected.emplace_back(match->begin, match->end);
    ASSERT_EQ(OfMatcher(Pattern(), text, i % 2 == 0 ? 1 : 64), expected) << ToByteLevel(text);
  }
}

TEST_P(FastSplitTest, FindsEveryCharacterInItsClass) {
  for (const char* context : {"", "a", " ", "1", "!", "\n"}) {
    std::string text;
    for (char32_t code = 0; code < 0x110000; ++code) {
      if (code >= 0xD800 && code <= 0xDFFF) continue;
      if (code >= 0x40000 && code < 0xE0000) continue;  // unassigned throughout
      AppendUtf8(code, text);
      text += context;
    }
    ASSERT_EQ(OfMatcher(Pattern(), text, 64), OfRegex(Pattern(), text))
        << "between \"" << context << "\"";
  }
}

INSTANTIATE_TEST_SUITE_P(Patterns,
                         FastSplitTest,
                         testing::Range(std::size_t{0}, FastPatterns().size()));

TEST(FastSplit, KnowsNoOtherExpression) {
  EXPECT_EQ(FindFastSplit(R"(\p{N}{1,4})"), nullptr);
}

}  // namespace
}  // namespace aha::policy
