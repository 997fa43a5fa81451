#include "pipelines/report/markup.h"

#include <cmath>
#include <cstdint>
#include <string>

#include <gtest/gtest.h>
#include <re2/re2.h>

#include "base/keyed_random.h"

namespace aha::pipelines {
namespace {

using namespace std::string_literals;

struct TextCase {
  const char* name;
  std::string bytes, want;
};

class EscapeTest : public testing::TestWithParam<TextCase> {};
TEST_P(EscapeTest, Escapes) {
  EXPECT_EQ(Escape(GetParam().bytes), GetParam().want);
}

const std::string kBad = "\xEF\xBF\xBD";

INSTANTIATE_TEST_SUITE_P(
    Table,
    EscapeTest,
    testing::Values(TextCase{"Plain", "a b\tc\nd", "a b\tc\nd"},
                    TextCase{"Entities", "&<>\"'", "&amp;&lt;&gt;&quot;&#39;"},
                    TextCase{"Script", "</script>", "&lt;/script&gt;"},
                    TextCase{"EntityIsNotReadAgain", "&lt;", "&amp;lt;"},
                    TextCase{"Chinese", "答案", "答案"},
                    TextCase{"FourBytes", "\xF0\x9F\xA7\xA0", "\xF0\x9F\xA7\xA0"},
                    TextCase{"Nul", "a\0b"s, "a\u2400b"},
                    TextCase{"Escape", "\x1B[31m", "\u241B[31m"},
                    TextCase{"Delete", "\x7F", "\u2421"},
                    TextCase{"CarriageReturnNewline", "a\r\nb", "a\nb"},
                    TextCase{"LoneCarriageReturn", "a\rb", "a\u240Db"},
                    TextCase{"LoneContinuation", "\x80", kBad},
                    TextCase{"NeverALead", "\xC0\xAF\xFF", kBad + kBad + kBad},
                    TextCase{"Overlong", "\xE0\x80\xAF", kBad + kBad + kBad},
                    TextCase{"Surrogate", "\xED\xA0\x80", kBad + kBad + kBad},
                    TextCase{"BeyondUnicode", "\xF4\x90\x80\x80", kBad + kBad + kBad + kBad},
                    TextCase{"CutAtTheEnd", "a\xE7\xAD", "a" + kBad},
                    TextCase{"CutThenAscii", "\xF0\x9F\xA7<", kBad + "&lt;"},
                    TextCase{"C1Control", "\xC2\x85", kBad},
                    TextCase{"Noncharacter", "\xEF\xBF\xBF\xEF\xB7\x90", kBad + kBad},
                    TextCase{"BidiOverride", "\xE2\x80\xAE", "[U+202E]"},
                    TextCase{"BidiIsolate", "\xE2\x81\xA6", "[U+2066]"}),
    [](const auto& p) { return std::string(p.param.name); });

class MarkTagsTest : public testing::TestWithParam<TextCase> {};
TEST_P(MarkTagsTest, Marks) {
  EXPECT_EQ(EscapeAndMarkTags(GetParam().bytes), GetParam().want);
}

INSTANTIATE_TEST_SUITE_P(
    Table,
    MarkTagsTest,
    testing::Values(TextCase{"Open", "<think>1", "<span class=\"tag\">&lt;think&gt;</span>1"},
                    TextCase{"Close", "x</answer>", "x<span class=\"tag\">&lt;/answer&gt;</span>"},
                    TextCase{"Special", "<|end|>", "<span class=\"tag\">&lt;|end|&gt;</span>"},
                    TextCase{"Comparison", "1 < 2 > 0", "1 &lt; 2 &gt; 0"},
                    TextCase{"Unfinished", "<think", "&lt;think"},
                    TextCase{"WithAttributes", "<a b>", "&lt;a b&gt;"},
                    TextCase{"Empty", "<></><||>", "&lt;&gt;&lt;/&gt;&lt;||&gt;"},
                    TextCase{"Number", "<3>", "&lt;3&gt;"},
                    TextCase{"Nested", "<<b>", "&lt;<span class=\"tag\">&lt;b&gt;</span>"}),
    [](const auto& p) { return std::string(p.param.name); });

TEST(CleanText, AnyBytesBecomeTextThatStaysAsItIs) {
  // Bytes that start, continue and end sequences and tags, in any order.
  const std::string alphabet = "a<>/|\r\n\x80\xAE\xBF\xC2\xE0\xE2\xED\xEF\xF0\xF4\xFF\0"s;
  for (std::uint64_t round = 0; round < 2000; ++round) {
    DrawSequence draw(KeyedRandom(round, "bytes"));
    std::string bytes;
    for (std::int64_t i = draw.Integer(0, 40); i > 0; --i)
      bytes += draw.Pick(alphabet);
    const std::string clean = CleanText(bytes);
    ASSERT_EQ(CleanText(clean), clean) << "round " << round;
    ASSERT_LE(CutBefore(clean, clean.size() / 2), clean.size() / 2 + 1);
    ASSERT_EQ(Escape(bytes).find('<'), std::string::npos);
    std::string marked = EscapeAndMarkTags(bytes);
    RE2::GlobalReplace(&marked, "<span class=\"tag\">|</span>", "");
    ASSERT_EQ(marked, Escape(bytes));
  }
}

TEST(CutBefore, SplitsNoCharacterAndPrefersWhiteSpace) {
  EXPECT_EQ(CutBefore("答答答", 4), 3U);
  EXPECT_EQ(CutBefore("ab cd", 4), 3U);
  EXPECT_EQ(CutBefore("abc", 9), 3U);
  EXPECT_EQ(CutBefore("a" + std::string(200, 'b'), 150), 150U);
}

TEST(DisplayWidth, CountsWideCharactersTwice) {
  EXPECT_EQ(DisplayWidth("a±b"), 3U);
  EXPECT_EQ(DisplayWidth("答案"), 4U);
}

TEST(Numbers, ReadAsPeopleWriteThem) {
  EXPECT_EQ(Number(-1.25, 1), "−1.2");
  EXPECT_EQ(Number(-0.001, 1), "0.0");
  EXPECT_EQ(Number(std::nan(""), 1), "–");
  EXPECT_EQ(Percent(0.6344), "63.4");
  EXPECT_EQ(Duration(8.26), "8.3 s");
  EXPECT_EQ(Duration(59.97), "1 min 00 s");
  EXPECT_EQ(Duration(7530), "2 h 06 min");
  EXPECT_EQ(Duration(-1), "–");
  EXPECT_EQ(Bytes(1.934e9), "1.9 GB");
  EXPECT_EQ(Grouped(999), "999");
  EXPECT_EQ(Grouped(1234567), "1,234,567");
}

}  // namespace
}  // namespace aha::pipelines
