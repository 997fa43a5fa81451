#include "rewards/verifiers/language.h"

#include <ostream>
#include <string>

#include <gtest/gtest.h>

#include "rewards/registry.h"

namespace aha::rewards {
namespace {

struct LanguageCase {
  std::string name;
  std::string language;
  std::string text;
  std::size_t target;
  std::size_t all;
};
void PrintTo(const LanguageCase& c, std::ostream* os) {
  *os << c.language << ": " << c.text;
}

const LanguageCase kCases[] = {
    {"EnglishSentence", "en", "First we add two and three.", 6, 6},
    {"ChineseSentence", "zh", "先把二和三加起来。", 8, 8},
    {"EnglishInChinese", "zh", "我们 add 两个数", 5, 6},
    {"ChineseInEnglish", "en", "so we 加 three", 3, 4},
    {"NoWords", "en", "2 + 2 = 4!", 0, 0},
    {"Empty", "en", "", 0, 0},
    // Where the thinking is.
    {"OnlyTheThinking", "en", "<think>two words</think><answer>答案</answer>", 2, 2},
    {"WholeTextWithoutTags", "en", "two words 答案", 2, 4},
    {"OpenedOnly", "en", "前言<think>two words", 2, 2},
    {"ClosedOnly", "en", "two words</think>答案", 2, 2},
    {"UpToTheLastClose", "en", "<think>one</think>二</think>三", 1, 2},
    {"TagsAreNoWords", "en", "<answer>two words</answer>", 2, 2},
    {"FullWidthTagIsNoWordButNoTag", "en", "before ＜think＞ after", 2, 2},
    // What a word is.
    {"ApostropheInside", "en", "don't we'll it’s", 3, 3},
    {"ApostropheOutside", "en", "'quoted' words'", 2, 2},
    {"Hyphen", "en", "well-formed", 2, 2},
    {"Underscore", "en", "snake_case", 2, 2},
    {"DigitsSplit", "en", "abc123def", 2, 2},
    {"UnitBehindDigits", "en", "5kg", 1, 1},
    {"Accents", "en", "na\u00EFve cafe\u0301", 2, 2},
    {"MarkAloneIsNoWord", "en", "\u2764\uFE0F \u0301", 0, 0},
    {"Emoji", "en", "😀 great 👍🏽", 1, 1},
    {"FullWidthLatin", "en", "ｈｅｌｌｏ ｗｏｒｌｄ", 2, 2},
    {"Ligature", "en", "ﬁne", 1, 1},
    {"MathBoldLetters", "en", "𝐡𝐞𝐥𝐥𝐨", 1, 1},
    {"MixedScriptIsNotTarget", "en", "p\u0430ypal", 0, 1},
    // Single letters.
    {"SingleLetters", "en", "x y Z b", 0, 0},
    {"EnglishSingleWords", "en", "a A I i", 3, 3},
    {"SingleLettersForChinese", "zh", "a A I 数", 1, 1},
    {"SingleLettersForFrench", "fr", "a y à il", 1, 1},
    {"SingleGreekLetterIsAWord", "en", "π is", 1, 2},
    {"ContractedI", "en", "I'm", 1, 1},
    {"CircledDigitsAndUnits", "en", "① ② ℃", 0, 0},
    // Code.
    {"Fence", "en", "see\n```python\nprint(words)\n```\ndone", 2, 2},
    {"OpenFence", "en", "see\n```python\nprint(words)\ndone", 1, 1},
    {"TildeFence", "en", "see\n~~~\nhidden words\n~~~\ndone", 2, 2},
    {"LongerFence", "en", "see ````\n``` hidden\n```` done", 2, 2},
    {"InlineCode", "en", "call `some_function()` now", 2, 2},
    {"DoubleInlineCode", "en", "call ``a ` tick`` now", 2, 2},
    {"LoneTickIsProse", "en", "a ` tick\nand ` more", 4, 4},
    // URLs.
    {"Url", "en", "see https://example.com/some/path?q=words#part now", 2, 2},
    {"WwwUrl", "en", "see www.example.com/path now", 2, 2},
    {"UrlBeforeChinese", "zh", "见https://example.com/b然后", 3, 3},
    {"UrlInParentheses", "en", "(http://example.com/a_(b)) now", 1, 1},
    {"OtherSchemes", "en", "ftp://host/file mailto:some.one@example.com ok", 1, 1},
    {"ColonIsNoUrl", "en", "note: this", 2, 2},
    // LaTeX.
    {"DollarMath", "en", "so $alpha + beta$ holds", 2, 2},
    {"DoubleDollarMath", "en", "so $$\nalpha\n$$ holds", 2, 2},
    {"ParenMath", "en", "so \\(alpha + \\beta\\) holds", 2, 2},
    {"BracketMath", "en", "so \\[\n\\frac{apples}{pears}\n\\] holds", 2, 2},
    {"Money", "en", "costs $5 and then $10 more", 4, 4},
    {"EscapedDollar", "en", "costs \\$five or \\$six", 4, 4},
    {"MathDoesNotCrossAnEmptyLine", "en", "an $open\n\nand closed$ one", 5, 5},
    {"Environment", "en", "so \\begin{align*}\nleft &= right\n\\end{align*} holds", 2, 2},
    {"OpenEnvironment", "en", "so \\begin{align}\nleft", 2, 2},
    {"Command", "en", "then \\alpha and \\boxed{words here}", 2, 2},
    {"TextInsideMath", "en", "is $5 \\text{ apples eaten}$ now", 2, 2},
    {"TextCommand", "zh", "共 \\text{apples and pears} 个", 2, 2},
    {"UnclosedGroup", "en", "is \\text{apples", 2, 2},
    {"UnclosedMath", "en", "so \\[ alpha holds", 3, 3},
    // Languages by script.
    {"JapaneseTarget", "ja", "これはペンです。ー", 8, 8},
    {"JapaneseForChinese", "zh", "これは水", 1, 4},
    {"KanaForEnglish", "en", "the ペン", 1, 3},
    {"Korean", "ko", "안녕하세요 세계 hello", 2, 3},
    {"Russian", "ru", "это слово and", 2, 3},
    {"Arabic", "ar", "هذه كلمة word", 2, 3},
    {"Hindi", "hi", "यह शब्द word", 2, 3},
    {"Thai", "th", "ภาษาไทย word", 1, 2},
    {"Greek", "el", "μία λέξη word", 2, 3},
    {"French", "fr", "une école 词", 2, 3},
    {"ChineseInTaiwan", "zh-TW", "漢字 word", 2, 3},
    {"SerbianInLatin", "sr-Latn", "reč слово", 1, 2},
    {"EnglishOfAmerica", "en_US", "a word", 2, 2},
    {"IterationMarkIsHan", "zh", "人々", 2, 2},
    {"RadicalIsHan", "zh", "\u2F00", 1, 1},
    {"InvalidBytes", "en", "some \xFF\xFE words", 2, 2},
};

class LanguageTest : public testing::TestWithParam<LanguageCase> {};

TEST_P(LanguageTest, CountsWords) {
  const auto& c = GetParam();
  const WordCount count = CountWords(c.text, c.language);
  EXPECT_EQ(count.target, c.target);
  EXPECT_EQ(count.all, c.all);
}

INSTANTIATE_TEST_SUITE_P(Table, LanguageTest, testing::ValuesIn(kCases), [](const auto& p) {
  return p.param.name;
});

Outcome ScoreWith(const std::string& config, std::string_view text, std::string_view language) {
  const auto reward = Registry::BuiltIns().Make("language", config);
  EXPECT_TRUE(reward.has_value()) << reward.error().message;
  return (*reward)->Score(
      {.id = {}, .prompt = {}, .completion = text, .reference = {}, .language = language});
}

TEST(Language, IsAShare) {
  EXPECT_DOUBLE_EQ(ScoreWith("", "so we 加 three", "en").score(), 0.75);
  EXPECT_EQ(ScoreWith("", "all of it", "en").score(), 1);
  EXPECT_EQ(ScoreWith("", "全是中文", "en").score(), 0);
}

TEST(Language, GivesTheConfiguredScoreWithoutWords) {
  EXPECT_EQ(ScoreWith("", "1 + 1", "en").score(), 0);
  EXPECT_EQ(ScoreWith("", "1 + 1", "en").reason(), "no_words");
  EXPECT_EQ(ScoreWith("no_words_score: 0.5", "1 + 1", "en").score(), 0.5);
}

TEST(Language, FailsForALanguageWithoutAKnownScript) {
  for (const char* language : {"", "klingonese", "q!", "xx-yy"}) {
    const Outcome outcome = ScoreWith("", "words", language);
    ASSERT_TRUE(outcome.has_failure()) << language;
    EXPECT_EQ(outcome.failure().kind(), proto::Failure::BAD_REFERENCE);
  }
  EXPECT_EQ(ScoreWith("target: 'zh'", "中文", "").score(), 1);
}

TEST(Language, IsLinearInHostileText) {
  for (const char* piece : {"`", "$a ", "\\a{", "\\(", "\\begin{align}", "`` ` ", "[x](", "\n  ",
                            "a\u0301\u0316\u0301\u0316", "~~~", "http://", "'", "\\[$", "\uFDFA"}) {
    std::string text;
    while (text.size() < (2 << 20))
      text += piece;
    CountWords(text, "en");
  }
}

}  // namespace
}  // namespace aha::rewards
