#include <ostream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "rewards/verifiers/exact.h"
#include "rewards/verifiers/math/verifier.h"

namespace aha::rewards {
namespace {

struct MathCase {
  std::string name;
  std::string reference;
  std::string completion;
  double want;
};
void PrintTo(const MathCase& c, std::ostream* os) {
  *os << c.completion << " for " << c.reference;
}

Outcome ScoreMath(std::string_view reference, std::string_view completion) {
  return MathReward().Score(
      {.id = {}, .prompt = {}, .completion = completion, .reference = reference, .language = {}});
}

const MathCase kCases[] = {
    // Where the answer is.
    {"Tag", "42", "<think>so 41?</think><answer>42</answer>", 1},
    {"LastTagWins", "42", "<answer>41</answer> no, <answer>42</answer>", 1},
    {"TagBeatsBox", "42", "\\boxed{7} <answer>42</answer> \\boxed{7}", 1},
    {"TagBeatsLastNumber", "42", "<answer>41</answer> 42", 0},
    {"OpenTag", "42", "<think>a</think><answer>42", 1},
    {"EmptyTag", "42", "42 <answer></answer>", 0},
    {"BoxInTag", "42", "<answer>So we get \\boxed{42}.</answer>", 1},
    {"Box", "42", "First 7, then \\boxed{42} of 100.", 1},
    {"LastBoxWins", "42", "\\boxed{7}. No: \\boxed{42}", 1},
    {"BoxBeatsPhrase", "42", "\\boxed{42}. The answer is 7", 1},
    {"NestedBraces", "1/2", "\\boxed{\\frac{1}{2}}", 1},
    {"OpenBoxDoesNotCount", "42", "\\boxed{42} and \\boxed{7", 1},
    {"Fbox", "42", "\\fbox{42}", 1},
    {"BoxInBox", "42", "\\boxed{\\boxed{42}}", 1},
    {"BoxesSideBySide", "\\{1, 2\\}", "$\\boxed{1}$ and $\\boxed{2}$", 1},
    {"BoxesSideBySideOtherOrder", "1, 2", "\\boxed{2}, \\boxed{1}", 1},
    {"BoxesSideBySideWrong", "1, 2", "\\boxed{2}, \\boxed{3}", 0},
    {"BoxesApartAreNotOneAnswer", "2", "Step \\boxed{1} gives us then \\boxed{2}", 1},
    {"Phrase", "42", "Since 6*7, the answer is 42.", 1},
    {"PhraseLast", "42", "The answer is 7. Wait. The answer is 42. I had 3 tries.", 1},
    {"PhraseWithColon", "42", "Final Answer: 42", 1},
    {"PhraseDecimal", "3.14", "The answer is 3.14.", 1},
    {"PhraseBold", "42", "The answer is **42**.", 1},
    {"PhraseChinese", "42", "所以答案是42。然后有3个。", 1},
    {"PhraseChineseColon", "42", "答案：42", 1},
    {"PhraseWithUnit", "42", "The answer is $42$ dollars.", 1},
    {"Gsm8kMark", "18", "She makes 9 * 2 = 18.\n#### 18", 1},
    {"PercentBehindTheBox", "20\\%", "a fraction of $\\boxed{20}$ percent", 1},
    {"PercentSignBehindTheBoxIsNotInIt", "20", "a fraction of $\\boxed{20}\\%$", 1},
    {"PercentInTheSolution", "which is $\\boxed{20}$ percent.", "\\boxed{20\\%}", 1},
    {"SolutionWithoutABox", "It is $30-2$. The answer is $28 \\%$. Note: good.", "\\boxed{28\\%}",
     1},
    {"LastNumberWithDecimalComma", "2.74", "Donc la valeur est 2,74 m", 1},
    {"LastNumberInAList", "3", "the roots are 1,2,3", 1},
    {"ABareAnswerIsItsWhole", "5 m", "5 cm", 0},
    {"LastNumber", "42", "I add 40 and 2 and get 42", 1},
    {"LastNumberFullStop", "42", "I get 42.", 1},
    {"LastNumberIsLast", "40", "I add 40 and 2 and get 42", 0},
    {"LastNumberFraction", "3/4", "which leaves us $\\frac{3}{4}$.", 1},
    {"LastNumberNegative", "-3", "hence x = -3", 1},
    {"LastNumberAfterMinus", "3", "so 5-3", 1},
    {"LastNumberNotInName", "4", "take 4 of H2", 1},
    {"LastNumberFullWidth", "42", "结果等于４２", 1},
    {"BareAnswer", "42", "42", 1},
    {"BareText", "Paris", "paris", 1},
    {"BareExpression", "x+1", "x + 1", 1},
    {"NoAnswer", "42", "I do not know", 0},
    {"EmptyCompletion", "42", "", 0},
    // Integers.
    {"LeadingZeros", "42", "<answer>0042</answer>", 1},
    {"Plus", "42", "<answer>+42</answer>", 1},
    {"Negative", "-42", "<answer>-42</answer>", 1},
    {"NegativeIsNotPositive", "42", "<answer>-42</answer>", 0},
    {"UnicodeMinus", "-42", "<answer>−42</answer>", 1},
    {"NegativeZero", "0", "<answer>-0</answer>", 1},
    {"Thousands", "1234567", "<answer>1,234,567</answer>", 1},
    {"ThousandsInReference", "1,234", "<answer>1234</answer>", 1},
    {"ThousandsBraced", "1234", "<answer>$1{,}234$</answer>", 1},
    {"ThousandsThinSpace", "1234", "<answer>$1\\,234$</answer>", 1},
    {"NotThousands", "1234", "<answer>12,34</answer>", 0},
    {"VeryLong", "123456789012345678901234567890123456789012345678901",
     "<answer>123456789012345678901234567890123456789012345678901</answer>", 1},
    {"VeryLongOtherDigit", "123456789012345678901234567890123456789012345678901",
     "<answer>123456789012345678901234567890123456789012345678902</answer>", 0},
    {"FullWidth", "42", "<answer>４２</answer>", 1},
    // Decimals: the reference's precision.
    {"Decimal", "3.5", "<answer>3.50</answer>", 1},
    {"DecimalAsFraction", "3.5", "<answer>7/2</answer>", 1},
    {"MoreDigits", "3.14", "<answer>3.14159</answer>", 1},
    {"FewerDigits", "3.14", "<answer>3.1</answer>", 0},
    {"RoundedUp", "0.67", "<answer>2/3</answer>", 1},
    {"RoundedDown", "0.66", "<answer>2/3</answer>", 0},
    {"HalfAwayFromZero", "2.5", "<answer>2.45</answer>", 1},
    {"HalfOtherSide", "2.5", "<answer>2.55</answer>", 0},
    {"HalfNegative", "-2.5", "<answer>-2.45</answer>", 1},
    {"RoundsToZero", "0.0", "<answer>-0.04</answer>", 1},
    {"IntegerIsExact", "3", "<answer>3.1</answer>", 0},
    {"IntegerAsDecimal", "3", "<answer>3.000</answer>", 1},
    {"NoLeadingZero", "0.5", "<answer>.5</answer>", 1},
    {"FractionIsExact", "1/3", "<answer>0.333</answer>", 0},
    // Fractions.
    {"Fraction", "\\frac{3}{4}", "<answer>3/4</answer>", 1},
    {"FractionUnreduced", "1/2", "<answer>2/4</answer>", 1},
    {"FractionAsDecimal", "3/4", "<answer>0.75</answer>", 1},
    {"Dfrac", "3/4", "\\boxed{\\dfrac{3}{4}}", 1},
    {"FracWithoutBraces", "1/2", "\\boxed{\\frac12}", 1},
    {"NegativeFraction", "-\\frac{1}{2}", "\\boxed{\\frac{-1}{2}}", 1},
    {"NegativeBelow", "-1/2", "<answer>1/-2</answer>", 1},
    {"FractionOfDecimals", "3", "<answer>1.5/0.5</answer>", 1},
    {"Mixed", "2 1/2", "<answer>5/2</answer>", 1},
    {"MixedLatex", "2.5", "\\boxed{2\\frac{1}{2}}", 1},
    {"MixedNegative", "-5/2", "<answer>-2 1/2</answer>", 1},
    {"VulgarFraction", "0.5", "<answer>½</answer>", 1},
    {"MixedVulgar", "5/2", "<answer>2½</answer>", 1},
    {"DividedByZero", "1", "<answer>1/0</answer>", 0},
    // Percent.
    {"PercentSame", "25%", "<answer>25%</answer>", 1},
    {"PercentNumber", "25\\%", "<answer>25</answer>", 1},
    {"PercentFraction", "25%", "<answer>0.25</answer>", 1},
    {"PercentQuarter", "25%", "<answer>1/4</answer>", 1},
    {"PercentWrong", "25%", "<answer>2.5</answer>", 0},
    {"PercentOfFraction", "25%", "<answer>0.25%</answer>", 0},
    {"AnswerPercent", "0.25", "<answer>25%</answer>", 1},
    {"AnswerPercentNotNumber", "25", "<answer>25%</answer>", 0},
    {"PercentWord", "0.25", "<answer>25 percent</answer>", 1},
    {"PercentPrecision", "33.3%", "<answer>1/3</answer>", 1},
    // Scientific notation.
    {"Scientific", "602000", "<answer>6.02e5</answer>", 1},
    {"ScientificLatex", "6.02 \\times 10^{23}", "<answer>6.02e23</answer>", 1},
    {"ScientificPrecision", "6.02 \\times 10^{23}", "<answer>6.022 × 10^23</answer>", 1},
    {"ScientificNegative", "0.0012", "<answer>1.2 \\cdot 10^{-3}</answer>", 1},
    {"PowerOfTen", "1000000", "<answer>10^6</answer>", 1},
    {"RaisedDigits", "1000000", "<answer>10⁶</answer>", 1},
    {"RaisedDigitsAreNoDigits", "106", "<answer>10⁶</answer>", 0},
    {"HugeExponent", "1", "<answer>1e999999999999</answer>", 0},
    // Units and currency.
    {"Dollar", "18", "<answer>$18</answer>", 1},
    {"DollarEscaped", "18", "<answer>\\$18.00</answer>", 1},
    {"Euro", "18", "<answer>18 €</answer>", 1},
    {"Yuan", "18", "<answer>18元</answer>", 1},
    {"Words", "18", "<answer>18 apples</answer>", 1},
    {"WordsInLatex", "18", "\\boxed{18 \\text{ apples}}", 1},
    {"WordsInReference", "18 apples", "<answer>18</answer>", 1},
    {"Unit", "5 cm", "<answer>5</answer>", 1},
    {"UnitAttached", "5", "<answer>5cm</answer>", 1},
    {"UnitSquared", "5", "\\boxed{5\\,\\mathrm{cm}^2}", 1},
    {"UnitSame", "5 hours", "<answer>5h</answer>", 1},
    {"UnitOther", "5 cm", "<answer>5 m</answer>", 0},
    {"Degrees", "90", "\\boxed{90^\\circ}", 1},
    {"ChineseCounter", "18", "<answer>18个苹果</answer>", 1},
    {"Variable", "5", "<answer>5x</answer>", 0},
    {"Million", "5", "<answer>5 million</answer>", 0},
    {"TenThousand", "5", "<answer>5万</answer>", 0},
    // Equations.
    {"NameLeft", "5", "<answer>x = 5</answer>", 1},
    {"NameRight", "5", "<answer>5 = x</answer>", 1},
    {"NameInReference", "x=5", "<answer>5</answer>", 1},
    {"NameInBoth", "x=5", "<answer>$x=5$</answer>", 1},
    {"OtherName", "x=5", "<answer>y=5</answer>", 0},
    {"WorkShown", "12", "<answer>3*4 = 12</answer>", 1},
    {"Product", "12", "<answer>3*4</answer>", 1},
    {"NotZeroIsZero", "2x+3=7", "<answer>4x+1=8</answer>", 0},
    {"SameEquationTwice", "2x+3=7", "<answer>4x+1=9</answer>", 1},
    {"SameEquation", "2x + 3 = 7", "<answer>2x+3=7</answer>", 1},
    // Sentences and hedges.
    {"Sentence", "42", "<answer>There are 42 apples left.</answer>", 1},
    {"ChineseSentence", "42", "<answer>一共有42个。</answer>", 1},
    {"Hedge", "42", "<answer>41 or 42</answer>", 0},
    {"Enumeration", "42", "<answer>40, 41, 42, 43</answer>", 0},
    {"HedgeInWords", "42", "<answer>Maybe 41, maybe 42</answer>", 0},
    {"Minus", "42", "<answer>It is minus 42</answer>", 0},
    {"Negation", "42", "<answer>not 42</answer>", 0},
    {"RootIsNotItsRadicand", "5", "<answer>\\sqrt{5}</answer>", 0},
    {"FactorialIsNotItsNumber", "5", "<answer>5!</answer>", 0},
    {"Inequality", "5", "<answer>x > 5</answer>", 0},
    // Kinds.
    {"Tuple", "(1, 2)", "<answer>(1,2)</answer>", 1},
    {"TupleOrder", "(1, 2)", "<answer>(2, 1)</answer>", 0},
    {"TupleEquivalentItems", "(1/2, 3)", "<answer>(0.5, 3.0)</answer>", 1},
    {"IntervalIsNoPair", "[1, 2]", "<answer>(1, 2)</answer>", 0},
    {"HalfOpen", "[1, \\infty)", "<answer>[1,∞)</answer>", 1},
    {"Set", "\\{1, 2, 3\\}", "<answer>\\{3, 1, 2\\}</answer>", 1},
    {"SetIsNoTuple", "\\{1, 2\\}", "<answer>(1, 2)</answer>", 0},
    {"ListAsSet", "\\{1, 2\\}", "<answer>2 and 1</answer>", 1},
    {"ListShort", "1, 2", "<answer>1</answer>", 0},
    {"ListRepeats", "1, 2", "<answer>1, 1</answer>", 0},
    {"LeftRight", "(1, 2)", "\\boxed{\\left(1, 2\\right)}", 1},
    {"EquationsInAnyOrder", "x=1, y=2", "<answer>y=2, x=1</answer>", 1},
    {"EquationsSwapped", "x=1, y=2", "<answer>x=2, y=1</answer>", 0},
    {"Roots", "x=1, x=2", "<answer>1 or 2</answer>", 1},
    // Text and choices.
    {"Text", "Monday", "<answer>monday.</answer>", 1},
    {"TextLatex", "\\text{Evelyn}", "<answer>Evelyn</answer>", 1},
    {"Symbolic", "\\frac{x}{2}", "<answer>x/2</answer>", 1},
    {"SymbolicSqrt", "2\\sqrt{3}", "\\boxed{2 \\sqrt{3}}", 1},
    {"SymbolicOther", "2\\sqrt{3}", "\\boxed{3\\sqrt{2}}", 0},
    {"Power", "x^2", "\\boxed{x^{2}}", 1},
    {"Choice", "B", "<answer>(B)</answer>", 1},
    {"ChoiceWithText", "B", "<answer>B. 42 apples</answer>", 1},
    {"ChoiceLowerCase", "(b)", "<answer>B</answer>", 1},
    {"ChoiceWord", "B", "The answer is option B.", 1},
    {"ChoiceChinese", "B", "答案是选项B。", 1},
    {"ChoiceOther", "B", "<answer>A</answer>", 0},
    {"ChoiceHedge", "B", "<answer>A or B</answer>", 0},
    {"ChoiceIsNoWord", "B", "<answer>Because</answer>", 0},
    // Sentences of models without marks.
    {"NotTheAnswer", "5", "The answer is not 5.", 0},
    {"NotObvious", "5", "The answer is not obvious, but it is 5", 1},
    {"IntervalInASentenceIsNoPair", "(1,2)", "It is the interval [1,2]", 0},
    {"DecimalCommaInASentence", "1.5", "It costs 1,5", 1},
    {"DecimalCommaIsNoPair", "(1,5)", "It costs 1,5", 0},
    {"TwoAnswersForOne", "5", "The answer is 5 or 6.", 0},
    {"AtLeast", "5", "\\boxed{\\text{at least } 5}", 0},
    {"RemainderOfAPower", "2", "\\boxed{2^{100} \\pmod 7}", 0},
    {"RemainderWithItsModulus", "3", "\\boxed{3 \\pmod 7}", 1},
    {"EnoughDecimals", "1/3", "so the answer is 0.3333333", 1},
    {"TooFewDecimals", "1/3", "so the answer is 0.33", 0},
    {"ChoiceWithAReason", "B", "The answer is B because A is wrong.", 1},
    {"ChoiceWithAReasonBehindAComma", "B", "The answer is B, since 2+2=4", 1},
    {"OtherChoiceWithAReason", "B", "The answer is C because B is wrong.", 0},
    {"OtherChoiceAndNotThis", "B", "The answer is C, not B.", 0},
    {"ChoiceByPhrase", "B", "The correct option is B.", 1},
    {"ChoiceByPhraseInParentheses", "B", "The correct choice is (B)", 1},
    {"ChoiceOfTwo", "B", "I would pick B or C", 0},
    {"ChoiceInChinese", "B", "故选：B", 1},
    {"OtherChoiceInChinese", "B", "故选：C", 0},
    {"Gsm8kThousands", "1234", "#### 1,234", 1},
    {"Gsm8kTransposed", "1234", "#### 1,243", 0},
};

class MathTest : public testing::TestWithParam<MathCase> {};

TEST_P(MathTest, Scores) {
  const Outcome outcome = ScoreMath(GetParam().reference, GetParam().completion);
  ASSERT_TRUE(outcome.has_score()) << outcome.ShortDebugString();
  EXPECT_EQ(outcome.score(), GetParam().want) << outcome.ShortDebugString();
}

INSTANTIATE_TEST_SUITE_P(Table, MathTest, testing::ValuesIn(kCases), [](const auto& p) {
  return p.param.name;
});

TEST(Math, FailsForAReferenceThatCannotBeRead) {
  const std::string long_one(65 * 1024, '1');
  for (const std::string& reference :
       {std::string(), std::string("  \n"), std::string("$$"), std::string("\\frac{1}{2"),
        std::string("1}"), std::string("1/0"), std::string("\\frac{3}{0}"), std::string("\xFF"),
        long_one}) {
    const Outcome outcome = ScoreMath(reference, "<answer>1</answer>");
    ASSERT_TRUE(outcome.has_failure()) << reference.substr(0, 20);
    EXPECT_EQ(outcome.failure().kind(), proto::Failure::BAD_REFERENCE);
  }
}

TEST(Math, NeverFailsByTheCompletion) {
  const std::string deep = [] {
    std::string text;
    for (int i = 0; i < 100000; ++i)
      text += "\\frac{";
    return text;
  }();
  const std::vector<std::string> cases = {"<answer>" + deep,
                                          "<answer>\xFF\xFE</answer>",
                                          std::string("<answer>}}}{{{</answer>"),
                                          "\\boxed{" + std::string(100000, '{'),
                                          "<answer>" + std::string(60000, '9') + "</answer>",
                                          "<answer>" + std::string(60000, '(') + "</answer>",
                                          std::string("<answer>9^{9^{9^9}}")};
  for (const std::string& bad : cases) {
    const Outcome outcome = ScoreMath("7", bad);
    ASSERT_TRUE(outcome.has_score()) << bad.substr(0, 40);
    EXPECT_EQ(outcome.score(), 0);
  }
}

TEST(Math, IsLinearInHostileText) {
  for (const char* piece :
       {"\\boxed{", "\\boxed{}", "answer is ", "{", "\\frac", "1,234,", "-", "9", "1/", "<answer>",
        "^", "10^", "( 1", "a\u0301\u0316\u0301\u0316", "答案是", "1e9", "1 1/1 "}) {
    std::string text;
    while (text.size() < (2 << 20))
      text += piece;
    ScoreMath("1", text);
  }
}

struct ExactCase {
  std::string name, reference, completion;
  double want;
};
void PrintTo(const ExactCase& c, std::ostream* os) {
  *os << c.completion;
}

const ExactCase kExactCases[] = {
    {"Same", "Paris", "<answer>Paris</answer>", 1},
    {"LatinCase", "Paris", "<answer>pARIS</answer>", 1},
    {"OtherCaseIsKept", "Москва", "<answer>москва</answer>", 0},
    {"Blanks", "New York", "<answer>\n New \t York\n</answer>", 1},
    {"BlankMatters", "New York", "<answer>NewYork</answer>", 0},
    {"FullWidth", "ABC 12", "<answer>ＡＢＣ\u3000１２</answer>", 1},
    {"Accent", "caf\u00E9", "<answer>cafe\u0301</answer>", 1},
    {"AccentMatters", "caf\u00E9", "<answer>cafe</answer>", 0},
    {"NumbersAreText", "1", "<answer>1.0</answer>", 0},
    {"PunctuationMatters", "yes", "<answer>yes!</answer>", 0},
    {"Box", "Paris", "so \\boxed{Paris} it is", 1},
    {"Phrase", "Paris", "The answer is Paris.", 1},
    {"WholeText", "Paris", " Paris\n", 1},
    {"Wrong", "Paris", "<answer>Rome</answer>", 0},
    {"Empty", "Paris", "<answer></answer>", 0},
    {"LastTag", "Paris", "<answer>Rome</answer><answer>Paris</answer>", 1},
};

class ExactTest : public testing::TestWithParam<ExactCase> {};

TEST_P(ExactTest, Scores) {
  const auto& c = GetParam();
  const Outcome outcome = ExactReward().Score({.id = {},
                                               .prompt = {},
                                               .completion = c.completion,
                                               .reference = c.reference,
                                               .language = {}});
  ASSERT_TRUE(outcome.has_score());
  EXPECT_EQ(outcome.score(), c.want) << outcome.reason();
}

INSTANTIATE_TEST_SUITE_P(Table, ExactTest, testing::ValuesIn(kExactCases), [](const auto& p) {
  return p.param.name;
});

TEST(Exact, FailsForAReferenceThatCannotBeRead) {
  for (const std::string_view reference : {"", " \n", "\xFF"}) {
    const Outcome outcome = ExactReward().Score(
        {.id = {}, .prompt = {}, .completion = "a", .reference = reference, .language = {}});
    EXPECT_EQ(outcome.failure().kind(), proto::Failure::BAD_REFERENCE);
  }
}

// The key `decimals`; its default is tried by math_traps.txt.
TEST(MathDecimals, OfAnExactReferenceWhereTheConfigurationAllowsThem) {
  const auto score = [](int decimals, std::string_view reference, std::string_view answer) {
    const std::string completion = "\\boxed{" + std::string(answer) + "}";
    return MathReward(decimals)
        .Score({.id = {},
                .prompt = {},
                .completion = completion,
                .reference = reference,
                .language = {}})
        .score();
  };
  EXPECT_EQ(score(-1, "1/3", "0.333333"), 0);
  EXPECT_EQ(score(-1, "1/3", "0.33333333333333333333"), 0);
  EXPECT_EQ(score(6, "1/3", "0.333333"), 1);
  EXPECT_EQ(score(6, "1/3", "0.33333"), 0) << "too few";
  EXPECT_EQ(score(6, "2/3", "0.666666"), 1) << "cut off";
  EXPECT_EQ(score(6, "2/3", "0.666667"), 1) << "rounded";
  EXPECT_EQ(score(6, "2/3", "0.666668"), 0);
  EXPECT_EQ(score(6, "1/3", "0.333334"), 0) << "off by less than one, and neither rounded nor cut";
  EXPECT_EQ(score(2, "1/90", "0.01"), 0) << "one significant digit";
  EXPECT_EQ(score(2, "1/8", "0.13"), 0) << "1/8 ends";
  EXPECT_EQ(score(10, "1/3", "0.333333333"), 0);
  EXPECT_EQ(score(10, "1/3", "0.3333333333"), 1);
  EXPECT_EQ(score(6, "2/3", "-0.666667"), 0);
  EXPECT_EQ(score(2, "\\sqrt{2}", "1.41"), 1);
  EXPECT_EQ(score(2, "\\sqrt{2}", "1.43"), 0);
  EXPECT_EQ(score(2, "(\\frac{3}{5},\\frac{8}{3}]", "(0.6,2.6667]"), 1) << "inside an interval";
  EXPECT_EQ(score(2, "0.667", "0.67"), 0) << "a decimal reference has its own precision";
  EXPECT_EQ(score(2, "3", "3.00"), 1);
  EXPECT_EQ(score(2, "3", "3.001"), 0) << "an integer is no fraction cut off";
  EXPECT_EQ(score(0, "x", "0.5"), 0);
}

}  // namespace
}  // namespace aha::rewards
