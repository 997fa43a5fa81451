// The `code` reward without its sandbox: programs found, references read, results compared.

#include <cmath>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/keyed_random.h"
#include "rewards/verifiers/code/compare.h"
#include "rewards/verifiers/code/program.h"
#include "rewards/verifiers/code/reference.h"
#include "rewards/verifiers/code/value.h"

namespace aha::rewards::code {
namespace {

using testing::HasSubstr;

struct ProgramCase {
  std::string_view name, completion, want;
};

constexpr ProgramCase kPrograms[] = {
    {"NoFenceIsAll", "print(1)", "print(1)"},
    {"OneFence", "Here:\n```python\nprint(1)\n```\nDone.", "print(1)\n"},
    {"LastOfTwo", "```\na\n```\ntext\n```py\nb\n```\n", "b\n"},
    {"Tildes", "~~~\na\n~~~", "a\n"},
    {"LongerFenceHoldsShorter", "````\n```\na\n```\n````", "```\na\n```\n"},
    {"TildesHoldTicks", "~~~\n```\na\n```\n~~~", "```\na\n```\n"},
    {"OpenFenceRunsToTheEnd", "```python\na\nb", "a\nb"},
    {"FenceWithoutLine", "```python", ""},
    {"InlineCodeIsNoFence", "```a```\nprint(1)", "```a```\nprint(1)"},
    {"IndentedByThree", "   ```\na\n   ```", "a\n"},
    {"IndentedByFourIsText", "    ```\na", "    ```\na"},
    {"CloserWithBlanks", "```\na\n```  \r\nb", "a\n"},
    {"CarriageReturns", "```python\r\na\r\n```\r\n", "a\r\n"},
    {"Answer", "<think>x</think><answer>\n```python\na\n```\n</answer>", "a\n"},
    {"FenceBehindTheTag", "<answer>```python\na\n```</answer>", "a\n"},
    {"AnswerWithoutFence", "<answer>print(1)</answer>", "print(1)"},
    {"AnswerWithoutEnd", "<answer>\n```\na\n```\n", "a\n"},
    {"LastAnswer", "<answer>a</answer><answer>b</answer>", "b"},
    {"AnswerBeatsLaterFence", "<answer>\n```\na\n```\n</answer>\n```\nb\n```", "a\n"},
    {"TagInsideAProgram", "```\nprint('<answer>')\n```", "print('<answer>')\n"},
    {"OpenFenceInTheThought", "<think>```python\nx</think>\n<answer>\n```\na\n```\n</answer>",
     "a\n"},
    {"FenceInTheThoughtOnly", "<think>\n```\na\n```\n</think>\ndone", "a\n"},
    {"FenceBehindTheThought", "<think>\n```\na\n```\n</think>\n```\nb\n```", "b\n"},
    {"Empty", "", ""},
    {"EmptyFence", "```\n```", ""},
};

class ProgramTest : public testing::TestWithParam<ProgramCase> {};
TEST_P(ProgramTest, IsFound) {
  EXPECT_EQ(ExtractProgram(GetParam().completion), GetParam().want);
}
INSTANTIATE_TEST_SUITE_P(Table, ProgramTest, testing::ValuesIn(kPrograms), [](const auto& p) {
  return std::string(p.param.name);
});

TEST(Program, TakesAnyBytesInLinearTime) {
  std::string ticks(10 << 20, '`');
  EXPECT_EQ(ExtractProgram(ticks).size(), 0U);
  std::string tags;
  while (tags.size() < (4U << 20))
    tags += "<answer>\n```\n</think>";
  EXPECT_LT(ExtractProgram(tags).size(), tags.size());
  DrawSequence draw(KeyedRandom(1, "program"));
  constexpr std::string_view kPieces[] = {"```",      "~~~", "\n", "<answer>", "</answer>",
                                          "</think>", " ",   "x",  "\r"};
  for (int round = 0; round < 3000; ++round) {
    std::string text;
    for (auto i = draw.Integer(0, 30); i > 0; --i)
      text += draw.Pick(kPieces);
    const auto program = ExtractProgram(text);
    ASSERT_TRUE(program.empty() || text.find(program) != std::string::npos);
  }
}

TEST(Reference, ReadsTestsAndCalls) {
  const auto r = ParseReference(
      R"({"language": "cpp", "tests": [{"stdin": "1\n", "stdout": "2"}], "function": "f",
          "calls": [{"args": [1, [2.5, "a"], {"k": null}], "returns": true}]})",
      "");
  ASSERT_TRUE(r.has_value()) << r.error().message;
  EXPECT_EQ(r->language, Language::kCpp);
  ASSERT_EQ(r->tests.size(), 1U);
  EXPECT_EQ(r->tests[0].input, "1\n");
  EXPECT_EQ(r->tests[0].output, "2");
  EXPECT_EQ(r->function, "f");
  ASSERT_EQ(r->calls.size(), 1U);
  EXPECT_EQ(r->calls[0].arguments.items.size(), 3U);
  EXPECT_TRUE(r->calls[0].returns.boolean);
}

TEST(Reference, TakesTheLanguageFromTheConfigWhereItNamesNone) {
  EXPECT_EQ(ParseReference(R"({"tests": [{"stdin": "", "stdout": ""}]})", "cpp")->language,
            Language::kCpp);
}

TEST(Reference, KeepsIntegersOfAnySize) {
  const auto r = ParseReference(
      R"({"language": "python", "function": "f", "calls": [{"args": [18446744073709551616], "returns": -123456789012345678901234567890}]})",
      "");
  ASSERT_TRUE(r.has_value()) << r.error().message;
  EXPECT_EQ(r->calls[0].arguments.items[0].integer, *ParseInteger("18446744073709551616"));
  EXPECT_EQ(r->calls[0].returns.integer, *ParseInteger("-123456789012345678901234567890"));
}

TEST(Reference, IsRefusedWhenItCannotBeUsed) {
  const std::string head = R"({"language": "python", )";
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"", "there is none"},
      {"42", "JSON object"},
      {"{", "not JSON"},
      {R"({"tests": []})", "\"language\" is missing"},
      {R"({"language": "rust", "tests": [{"stdin": "", "stdout": ""}]})", "'rust' is not known"},
      {R"({"language": 1, "tests": []})", "must be a string"},
      {head + "\"tests\": []}", "no test case"},
      {R"({"language": "python"})", "no test case"},
      {head + "\"tests\": {}}", "must be an array"},
      {head + R"("tests": [1]})", "tests[0] must be an object"},
      {head + R"("tests": [{"stdin": "1"}]})", "tests[0]: \"stdout\" is missing"},
      {head + R"("tests": [{"stdin": 1, "stdout": ""}]})", "tests[0]: \"stdin\" must be a string"},
      {head + R"("tests": [{"stdin": "", "stdout": "", "stdout": "x"}]})", "given twice"},
      {head + R"("calls": [{"args": [], "returns": 1}]})", "\"function\" is missing"},
      {head + R"("function": "f x", "calls": [{"args": [], "returns": 1}]})", "must be a name"},
      {head + R"("function": "f", "calls": [{"args": 1, "returns": 1}]})",
       "\"args\" must be an array"},
      {head + R"("function": "f", "calls": [{"args": []}]})", "\"returns\" is missing"},
      {head + R"("testz": []})", "unknown key \"testz\""},
      {head + R"("tests": [{"stdin": "", "stdout": ""}], "language": "cpp"})", "given twice"},
      {head + R"("function": "f", "calls": [{"args": [1e999], "returns": 1}]})", "not JSON"},
      {std::string(2'000'000, '['), "nested more than"},
      {head + "\"function\": \"f\", \"calls\": [{\"args\": " + std::string(70, '[') +
           std::string(70, ']') + ", \"returns\": 1}]}",
       "nested more than"},
      {head + "\"function\": \"f\", \"calls\": [{\"args\": [" + std::string(30000, '9') +
           "], \"returns\": 1}]}",
       "it is not JSON"},
  };
  for (const auto& [text, message] : cases) {
    const auto r = ParseReference(text, "");
    ASSERT_FALSE(r.has_value()) << text.substr(0, 200);
    EXPECT_THAT(r.error().message, HasSubstr(message)) << text.substr(0, 200);
  }
}

TEST(Reference, BoundsTheNumberOfValues) {
  std::string text = R"({"language": "python", "function": "f", "calls": [{"args": [0)";
  while (text.size() < (10U << 20))
    text += ",0,0,0,0";
  const auto r = ParseReference(text + R"(], "returns": 1}]})", "");
  ASSERT_FALSE(r.has_value());
  EXPECT_THAT(r.error().message, HasSubstr("more than 1000000 values"));
}

TEST(Reference, TakesTenMegabytesOfText) {
  const std::string big(10 << 20, 'x');
  const auto r = ParseReference(
      R"({"language": "python", "tests": [{"stdin": ")" + big + R"(", "stdout": ""}]})", "");
  ASSERT_TRUE(r.has_value());
  EXPECT_EQ(r->tests[0].input.size(), big.size());
}

struct OutputRow {
  std::string_view name;
  Comparison::How how;
  std::string_view output, expected;
  bool same;
};
using enum Comparison::How;

constexpr OutputRow kOutputs[] = {
    {"Equal", kBlanks, "1 2\n", "1 2\n", true},
    {"TrailingLine", kBlanks, "1 2", "1 2\n", true},
    {"OtherBlanks", kBlanks, "1\n\t2  \r\n", "1 2", true},
    {"JoinedWords", kBlanks, "12", "1 2", false},
    {"MissingWord", kBlanks, "1", "1 2", false},
    {"ExtraWord", kBlanks, "1 2 3", "1 2", false},
    {"NumbersAreWords", kBlanks, "1.0", "1", false},
    {"Case", kBlanks, "yes", "YES", false},
    {"NothingExpected", kBlanks, " \n", "", true},
    {"SomethingForNothing", kBlanks, "x", "", false},
    {"NulIsNoBlank", kBlanks, std::string_view("1\0", 2), "1", false},
    {"ExactEqual", kExact, "1\n", "1\n", true},
    {"ExactLine", kExact, "1", "1\n", false},
    {"FloatNear", kFloat, "0.33333334", "0.3333333333", true},
    {"FloatFar", kFloat, "0.3334", "0.3333", false},
    {"FloatRelative", kFloat, "1000000.5", "1000000", true},
    {"FloatFormat", kFloat, "1e0 +2", "1 2.0", true},
    {"FloatNan", kFloat, "nan", "1", false},
    {"FloatNanText", kFloat, "nan", "nan", true},
    {"FloatInfinity", kFloat, "inf", "1", false},
    {"FloatHuge", kFloat, "1e999", "1", false},
    {"FloatText", kFloat, "a", "b", false},
    {"FloatHex", kFloat, "0x1", "1", false},
};
class OutputTest : public testing::TestWithParam<OutputRow> {};
TEST_P(OutputTest, IsComparedWith) {
  const auto& p = GetParam();
  EXPECT_EQ(OutputFault(p.output, p.expected, {.how = p.how, .tolerance = 1e-6}).empty(), p.same);
}
INSTANTIATE_TEST_SUITE_P(Table, OutputTest, testing::ValuesIn(kOutputs), [](const auto& p) {
  return std::string(p.param.name);
});

// Bytes that CPython 3.11 made by marshal.dumps(x, 2), against JSON.
struct ValueRow {
  std::string_view name, marshal, json;
  bool same;
};
using namespace std::string_view_literals;
constexpr ValueRow kValues[] = {
    {"None", "N"sv, "null", true},
    {"NoneIsNotFalse", "N"sv, "false", false},
    {"True", "T"sv, "true", true},
    {"TrueIsNotOne", "T"sv, "1", false},
    {"OneIsNotTrue", "i\x01\0\0\0"sv, "true", false},
    {"ZeroIsNotFalse", "i\0\0\0\0"sv, "false", false},
    {"Integer", "i\x01\0\0\0"sv, "1", true},
    {"MinusOne", "i\xff\xff\xff\xff"sv, "-1", true},
    {"IntegerAsFloat", "i\x01\0\0\0"sv, "1.0", true},
    {"FloatAsInteger", "g\0\0\0\0\0\0\xf0\x3f"sv, "1", true},
    {"Half", "g\0\0\0\0\0\0\xe0\x3f"sv, "0.5", true},
    {"HalfIsNotZero", "g\0\0\0\0\0\0\xe0\x3f"sv, "0", false},
    {"NanEqualsNothing", "g\0\0\0\0\0\0\xf8\x7f"sv, "0", false},
    {"Infinity", "g\0\0\0\0\0\0\xf0\x7f"sv, "179769313486231570000000000000", false},
    {"TwoToThe64", "l\x05\0\0\0\0\0\0\0\0\0\0\0\x10\0"sv, "18446744073709551616", true},
    {"TwoToThe64IsNotOneMore", "l\x05\0\0\0\0\0\0\0\0\0\0\0\x10\0"sv, "18446744073709551617",
     false},
    {"Text", "u\x01\0\0\0a"sv, "\"a\"", true},
    {"TextIsNoNumber", "u\x01\0\0\0001"sv, "1", false},
    {"BytesAreNoText", "s\x01\0\0\0a"sv, "\"a\"", false},
    {"List", "[\x01\0\0\0i\x01\0\0\0"sv, "[1]", true},
    {"Tuple", "(\x01\0\0\0i\x01\0\0\0"sv, "[1]", true},
    {"SetIsNoArray", "<\x01\0\0\0i\x01\0\0\0"sv, "[1]", false},
    {"LongerList", "[\x01\0\0\0i\x01\0\0\0"sv, "[1, 2]", false},
    {"EmptyList", "[\0\0\0\0"sv, "[]", true},
    {"EmptyListIsNotNull", "[\0\0\0\0"sv, "null", false},
    {"EmptyDict", "{0"sv, "{}", true},
    {"EmptyDictIsNoArray", "{0"sv, "[]", false},
    {"Dict", "{u\x01\0\0\0ai\x01\0\0\0000"sv, "{\"a\": 1}", true},
    {"IntegerKey", "{i\x01\0\0\0i\x02\0\0\0000"sv, "{\"1\": 2}", true},
    {"OtherKey", "{u\x01\0\0\0bi\x01\0\0\0000"sv, "{\"a\": 1}", false},
    {"BoolKey", "{Ti\x01\0\0\0000"sv, "{\"True\": 1}", false},
    {"Complex", "y\0\0\0\0\0\0\xf0\x3f\0\0\0\0\0\0\0\0"sv, "1", false},
};
class ValueTest : public testing::TestWithParam<ValueRow> {};
TEST_P(ValueTest, IsComparedWith) {
  const auto& p = GetParam();
  const auto value = FromMarshal(p.marshal);
  ASSERT_TRUE(value.has_value());
  const auto r = ParseReference(
      R"({"language": "python", "function": "f", "calls": [{"args": [], "returns": )" +
          std::string(p.json) + "}]}",
      "");
  ASSERT_TRUE(r.has_value()) << r.error().message;
  EXPECT_EQ(SameValue(*value, r->calls[0].returns, {}), p.same);
}
INSTANTIATE_TEST_SUITE_P(Table, ValueTest, testing::ValuesIn(kValues), [](const auto& p) {
  return std::string(p.param.name);
});

TEST(Value, FloatComparisonTakesNearNumbersButNoBool) {
  const Comparison near{.how = Comparison::How::kFloat, .tolerance = 1e-6};
  Value a, b;
  a.kind = b.kind = Value::Kind::kReal;
  a.real = 0.1 + 0.2;
  b.real = 0.3;
  EXPECT_FALSE(SameValue(a, b, {}));
  EXPECT_TRUE(SameValue(a, b, near));
  a.real = std::nan("");
  EXPECT_FALSE(SameValue(a, a, near));
  Value yes;
  yes.kind = Value::Kind::kBool;
  yes.boolean = true;
  b.real = 1;
  EXPECT_FALSE(SameValue(yes, b, near));
}

TEST(Value, SameNumberIsExactAtEverySize) {
  EXPECT_TRUE(SameNumber(*ParseInteger("9007199254740992"), 9007199254740992.0));
  EXPECT_FALSE(SameNumber(*ParseInteger("9007199254740993"), 9007199254740992.0));
  EXPECT_TRUE(SameNumber(*ParseInteger("-1267650600228229401496703205376"), -std::ldexp(1.0, 100)));
  EXPECT_TRUE(SameNumber(*ParseInteger("0"), -0.0));
  EXPECT_FALSE(SameNumber(*ParseInteger("0"), 0.5));
  EXPECT_TRUE(SameNumber(*ParseInteger("3"), 3.0));
}

TEST(Marshal, RefusesWhatIsNotOnePlainValue) {
  const std::string_view bad[] = {"",
                                  "c",
                                  "[",
                                  "[\xff\xff\xff\xff"sv,
                                  "i\0"sv,
                                  "NN",
                                  "{N",
                                  "0",
                                  "[\x01\0\0\0000"sv,
                                  "l\x01\0\0\0\0\0"sv,
                                  "l\x01\0\0\0\xff\xff"sv,
                                  "l\0\0\0\x80"sv,
                                  "u\xff\xff\xff\x7f"sv,
                                  "\xe9\0\0\0\0"sv,
                                  "r\0\0\0\0"sv};
  for (const auto text : bad)
    EXPECT_FALSE(FromMarshal(text).has_value()) << testing::PrintToString(text);
  std::string deep;
  for (int i = 0; i < 1'000'000; ++i)
    deep += "[\x01\0\0\0"sv;
  EXPECT_FALSE(FromMarshal(deep).has_value());
}

TEST(Marshal, AnyBytesAreAValueOrNone) {
  DrawSequence draw(KeyedRandom(3, "marshal"));
  constexpr std::string_view kPieces[] = {"N", "T",           "i\1\0\0\0"sv, "[\2\0\0\0"sv, "{",
                                          "0", "u\1\0\0\0"sv, "l\1\0\0\0"sv, "(\1\0\0\0"sv, "x"};
  for (int round = 0; round < 20000; ++round) {
    std::string text;
    for (auto i = draw.Integer(0, 12); i > 0; --i)
      text += draw.Pick(kPieces);
    (void)FromMarshal(text);
  }
}

}  // namespace
}  // namespace aha::rewards::code
