#include "rewards/verifiers/format.h"

#include <ostream>
#include <string>

#include <gtest/gtest.h>

namespace aha::rewards {
namespace {

using std::string_literals::operator""s;

struct FormatCase {
  std::string name;
  std::string completion;
  std::string fault;  // empty: well formed
};
void PrintTo(const FormatCase& c, std::ostream* os) {
  *os << c.completion;
}

const std::string kGood = "<think>a</think><answer>1</answer>";

const FormatCase kCases[] = {
    {"Canonical", kGood, ""},
    {"BlanksBetweenAndAfter", "<think>a</think> \t\r\n\n<answer>1</answer>\n \t\r\n", ""},
    {"LinesInside", "<think>\na\nb\n</think>\n<answer>\n1\n</answer>", ""},
    {"Chinese", "<think>先算二加二。</think><answer>四</answer>", ""},
    {"FourByteCharacters", "<think>😀</think><answer>𝟜</answer>", ""},
    {"LookAlikesAreText", "<think><Think> < think> <think/> &lt;think></think><answer>1</answer>",
     ""},
    {"PartialTagInside", "<think>a <thin k</think><answer><b>1</b></answer>", ""},
    {"FullWidthTagIsText", "<think>＜think＞</think><answer>1</answer>", ""},
    {"ControlCharacterIsVisible", "<think>\x01</think><answer>1</answer>", ""},
    {"SoftHyphenIsVisible", "<think>\u00AD</think><answer>1</answer>", ""},
    {"OtherFormatCharacterIsVisible", "<think>\u200E</think><answer>\u2061</answer>", ""},
    // Order and number.
    {"Empty", "", "tag count"},
    {"NoTags", "42", "tag count"},
    {"NoAnswer", "<think>a</think>42", "tag count"},
    {"NoThought", "<answer>42</answer>", "tag count"},
    {"Truncated", "<think>a", "tag count"},
    {"AnswerNotClosed", "<think>a</think><answer>1", "tag count"},
    {"AnswerFirst", "<answer>1</answer><think>a</think>", "tag order"},
    {"Nested", "<think>a<answer>1</answer></think>", "tag order"},
    {"Crossed", "<think>a<answer></think>1</answer>", "tag order"},
    {"ClosedBeforeOpened", "</think><think>a<answer>1</answer>", "tag order"},
    {"TextBefore", "So: " + kGood, "text before <think>"},
    {"BlankBefore", " " + kGood, "text before <think>"},
    {"NewlineBefore", "\n" + kGood, "text before <think>"},
    {"ByteOrderMarkBefore", "\xEF\xBB\xBF" + kGood, "text before <think>"},
    {"TextBetween", "<think>a</think>so<answer>1</answer>", "text outside the tags"},
    {"TextAfter", kGood + "!", "text outside the tags"},
    {"EndOfSequenceLeftOver", kGood + "<|endoftext|>", "text outside the tags"},
    {"IdeographicSpaceBetween", "<think>a</think>\u3000<answer>1</answer>",
     "text outside the tags"},
    {"NoBreakSpaceAfter", kGood + "\u00A0", "text outside the tags"},
    {"ZeroWidthSpaceBetween", "<think>a</think>\u200B<answer>1</answer>", "text outside the tags"},
    {"VerticalTabBetween", "<think>a</think>\v<answer>1</answer>", "text outside the tags"},
    {"FormFeedAfter", kGood + "\f", "text outside the tags"},
    // Spelling of the tags.
    {"UpperCase", "<THINK>a</THINK><answer>1</answer>", "tag count"},
    {"BlankInTag", "<think >a</think><answer>1</answer>", "tag count"},
    {"Attribute", "<think id=1>a</think><answer>1</answer>", "tag count"},
    {"SelfClosed", "<think/>a<answer>1</answer>", "tag count"},
    // Reward hacks.
    {"ThinkClosedTwice", "<think>a</think></think><answer>1</answer>", "tag count"},
    {"ThinkOpenedTwice", "<think><think>a</think><answer>1</answer>", "tag count"},
    {"TwoAnswers", kGood + "<answer>2</answer>", "tag count"},
    {"TwoBlocks", kGood + kGood, "tag count"},
    {"TagQuotedInThought", "<think>I use \"<answer>\"</think><answer>1</answer>", "tag count"},
    {"TagInCodeFence", "<think>```\n</think>\n```</think><answer>1</answer>", "tag count"},
    {"EmptyThought", "<think></think><answer>1</answer>", "empty thought"},
    {"BlankThought", "<think> \n\t</think><answer>1</answer>", "empty thought"},
    {"EmptyAnswer", "<think>a</think><answer></answer>", "empty answer"},
    {"IdeographicSpaceAnswer", "<think>a</think><answer>\u3000</answer>", "empty answer"},
    {"NoBreakSpaceThought", "<think>\u00A0\u2003\u2028\u0085</think><answer>1</answer>",
     "empty thought"},
    {"ZeroWidthThought", "<think>\u200B\u200C\u200D\u2060\uFEFF</think><answer>1</answer>",
     "empty thought"},
    {"ZeroWidthAnswer", "<think>a</think><answer>\u200B \uFEFF</answer>", "empty answer"},
    // Bytes.
    {"NulInside", "<think>a\0b</think><answer>1</answer>"s, "nul byte"},
    {"NulAtTheEnd", kGood + "\0"s, "nul byte"},
    {"LoneContinuation", "<think>\x80</think><answer>1</answer>", "not utf-8"},
    {"CutOffSequence", kGood + "\xE4\xBD", "not utf-8"},
    {"Overlong", "<think>\xC0\xAF</think><answer>1</answer>", "not utf-8"},
    {"OverlongNul", "<think>\xC0\x80</think><answer>1</answer>", "not utf-8"},
    {"Surrogate", "<think>\xED\xA0\x80</think><answer>1</answer>", "not utf-8"},
    {"BeyondUnicode", "<think>\xF4\x90\x80\x80</think><answer>1</answer>", "not utf-8"},
    {"Latin1", "<think>caf\xE9</think><answer>1</answer>", "not utf-8"},
};

class FormatTest : public testing::TestWithParam<FormatCase> {};

TEST_P(FormatTest, FindsTheFault) {
  EXPECT_EQ(FormatFault(GetParam().completion), GetParam().fault);
  const ScoreInput input{
      .id = {}, .prompt = {}, .completion = GetParam().completion, .reference = {}, .language = {}};
  const Outcome outcome = FormatReward().Score(input);
  ASSERT_TRUE(outcome.has_score());
  EXPECT_EQ(outcome.score(), GetParam().fault.empty() ? 1 : 0);
  EXPECT_EQ(outcome.reason(), GetParam().fault);
}

INSTANTIATE_TEST_SUITE_P(Table, FormatTest, testing::ValuesIn(kCases), [](const auto& p) {
  return p.param.name;
});

TEST(Format, HasNoSizeLimit) {
  const std::string thought(20 << 20, '<');
  EXPECT_EQ(FormatFault("<think>" + thought + "</think><answer>1</answer>"), "");
}

}  // namespace
}  // namespace aha::rewards
