// Answers that cost time, memory or the process where nobody counts; references at fault; tricks.

#include <chrono>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "rewards/verifiers/math/judge.h"
#include "rewards/verifiers/math/verifier.h"

namespace aha::rewards::math {
namespace {

std::string Times(std::string_view piece, std::size_t times) {
  std::string text;
  for (std::size_t i = 0; i < times; ++i)
    text += piece;
  return text;
}

std::string Joined(std::string_view before, std::string_view after, int from, int to) {
  std::string text;
  for (int i = from; i < to; ++i)
    text += std::string(before) + std::to_string(i) + std::string(after);
  return text;
}

MathVerdict Judged(std::string_view reference,
                   std::string_view answer,
                   std::string_view prompt = {}) {
  const std::string completion = "<answer>" + std::string(answer) + "</answer>";
  return JudgeMath({.prompt = prompt, .completion = completion, .reference = reference});
}

std::vector<std::string> Bombs() {
  return {"9^{9^{9^9}}",
          "(10^{10^9})!",
          "2^{10^9}",
          "\\binom{10^9}{5\\cdot 10^8}",
          "e^{e^{e^{e^{10}}}}",
          "\\sin(10^{10^{10}})",
          "(x+y+z)^{500}",
          Times("{", 100000),
          Times("(", 60000),
          Times("\\frac{", 10000),
          Times("\\sqrt{", 60) + "2" + Times("}", 60),
          Times("2^{", 60) + "2" + Times("}", 60),
          Times("9", 60000),
          "0." + Times("3", 60000),
          "1e9999999",
          Times("1/", 8000) + "3",
          "(1+\\sqrt{2})^{30000}",
          Joined("\\sqrt{", "}+", 2, 900) + "1",
          Joined("\\sin(x^{", "})+", 2, 700) + "1",
          Joined("(x+", ")", 2, 1500),
          Joined("\\sqrt{", "},", 2, 255) + "1",
          Joined("", ",", 2, 5000) + "1",
          Times("1,234,", 5000),
          Times("a b ", 4000),
          Times("\\pm 1 ", 200),
          Times("\\{x|", 30),
          std::string(1000, '\0'),
          Times("\\", 60001),
          Times("三分之", 2000)};
}

TEST(MathHostile, NoAnswerIsWorthMuchWork) {
  for (const char* reference :
       {"7", "\\sqrt{2}", "x^2+1", "(x+1)^{7}\\sin x", "\\{1,2,3\\}", "(1,2)\\cup(3,4)", "3.14"}) {
    for (const std::string& bomb : Bombs()) {
      const auto start = std::chrono::steady_clock::now();
      const MathVerdict verdict = Judged(reference, bomb);
      const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
      EXPECT_EQ(verdict.fault, "") << bomb.substr(0, 40);
      EXPECT_FALSE(verdict.same) << bomb.substr(0, 40);
      // Some 20 ms in a release build; room for sanitizers and busy machines.
      EXPECT_LT(taken.count(), 1.0) << bomb.substr(0, 40) << " for " << reference;
    }
  }
}

TEST(MathHostile, TooLargeIsTheAnswersFault) {
  for (const char* bomb :
       {"9^{9^{9^9}}", "(10^{10^9})!", "2^{10^9}", "\\binom{10^9}{5\\cdot 10^8}"}) {
    const MathVerdict verdict = Judged("7", bomb);
    EXPECT_EQ(verdict.reason, "too_large") << bomb;
    EXPECT_EQ(verdict.fault, "");
  }
  EXPECT_EQ(Judged("7", Times("9", 70000)).reason, "too_large");
  EXPECT_EQ(Judged("7", Times("{", 200) + "7" + Times("}", 200)).same, false);
}

TEST(MathHostile, ExactWhereFloatingPointIsNot) {
  EXPECT_FALSE(Judged("2^{-99}", "2^{-98}").same);
  EXPECT_FALSE(Judged("\\sqrt{10^{60}+1}", "10^{30}").same);
  EXPECT_FALSE(Judged("\\sqrt{2}", "\\sqrt{2}+10^{-300}").same);
  EXPECT_FALSE(Judged("10^{40}", "10^{40}+1").same);
  EXPECT_FALSE(Judged("e^{\\pi\\sqrt{163}}", "262537412640768744").same);
  EXPECT_FALSE(Judged("x", "x + 10^{-30}x").same);
  EXPECT_FALSE(Judged("x", "x + 4611686018427387847").same);
  EXPECT_TRUE(Judged("2^{1000}", "4^{500}").same);
}

// Former bugs that the fuzzer found.
TEST(MathHostile, ANumberInNoBaseIsNoNumber) {
  EXPECT_EQ(Judged("7", "10_{}").reason, "different: 10");
  EXPECT_FALSE(Judged("6.02 \\times 10_{}", "7").fault.empty());
}

TEST(MathHostile, ReferencesAtFault) {
  for (const std::string& reference :
       {std::string("9^{9^{9^9}}"), std::string("(10^{10^9})!"), std::string("\\frac{0}{0}"),
        std::string("\\ln 0"), std::string("\\frac{1}{2-2}"), std::string("\\frac{1}"),
        std::string("\\sqrt{"), std::string("\\undefinedcommand{3}"), std::string("(1, 1/0)"),
        std::string("\\boxed{}"), Times("(", 300) + "1" + Times(")", 300), Times("9", 30000)}) {
    for (const char* answer : {"7", "x", "\\frac{1}{2}"}) {
      const Outcome outcome = MathReward().Score(
          {.id = {}, .prompt = {}, .completion = answer, .reference = reference, .language = {}});
      ASSERT_TRUE(outcome.has_failure()) << reference.substr(0, 40);
      EXPECT_EQ(outcome.failure().kind(), proto::Failure::BAD_REFERENCE);
    }
  }
}

TEST(MathHostile, ABoxInsideTheThinkingNeverBeatsTheAnswer) {
  const auto judged = [](std::string_view completion) {
    return JudgeMath({.prompt = {}, .completion = completion, .reference = "42"}).same;
  };
  EXPECT_TRUE(judged("<think>\\boxed{7}</think>\\boxed{42}"));
  EXPECT_TRUE(judged("<think>\\boxed{7}</think> The answer is 42."));
  EXPECT_TRUE(judged("<think>\\boxed{7}</think> It is 42"));
  EXPECT_FALSE(judged("<think>\\boxed{42}</think> It is 7"));
  EXPECT_FALSE(judged("<think>The answer is 42</think> \\boxed{7}"));
  EXPECT_TRUE(judged("<think>\\boxed{7}</think><answer>42</answer>"));
}

TEST(MathHostile, SprayingNeverHelps) {
  for (const char* completion :
       {"\\boxed{1}\\boxed{2}\\boxed{3}", "\\boxed{1}, \\boxed{3}", "<answer>1,2,3,4,5</answer>",
        "<answer>1 or 3</answer>", "<answer>3 or 4</answer>", "<answer>\\{1,2,3\\}</answer>",
        "<answer>3, 3.5</answer>", "<answer>x=3, x=4</answer>", "<answer>3 \\pm 1</answer>",
        "<answer>[1,5]</answer>", "<answer>x > 2</answer>", "<answer>3/</answer>",
        "<answer>not 3</answer>", "<answer>either 3 or 5</answer>", "\\boxed{3}\\boxed{}\\boxed{4}",
        "<answer>3</answer><answer>4</answer>", "<answer>between 2 and 4: 3 or so, 4</answer>",
        "<answer>$3$ or $4$</answer>"}) {
    EXPECT_FALSE(JudgeMath({.prompt = {}, .completion = completion, .reference = "3"}).same)
        << completion;
  }
}

TEST(MathHostile, AQuestionRepeatedIsNoAnswer) {
  EXPECT_FALSE(Judged("12", "3*4", "What is 3*4?").same);
  EXPECT_EQ(Judged("12", "3*4", "What is 3*4?").reason, "unevaluated");
  EXPECT_FALSE(Judged("12", "5+7", "What is 3*4?").same);
  EXPECT_FALSE(Judged("12", "3/(1/4)", "What is 3*4?").same);
  EXPECT_TRUE(Judged("12", "12", "What is 3*4?").same);
  EXPECT_TRUE(Judged("12", "3*4 = 12", "What is 3*4?").same);
  EXPECT_TRUE(Judged("1/2", "2/4", "What is 1 - 1/2?").same);
  EXPECT_TRUE(Judged("2x+1", "1+2x", "Expand.").same);
  EXPECT_TRUE(Judged("12", "3*4").same);
}

TEST(MathHostile, ExplainsItself) {
  const ScoreInput input{.id = {},
                         .prompt = {},
                         .completion = "so \\boxed{\\frac{2}{4}}",
                         .reference = "0.5",
                         .language = {}};
  const std::vector<Finding> findings = MathReward().Explain(input);
  const auto text = [&](std::string_view name) {
    for (const Finding& finding : findings) {
      if (finding.name == name) return finding.text;
    }
    return std::string("(none)");
  };
  EXPECT_EQ(text("found"), "box");
  EXPECT_EQ(text("extracted"), "\\frac{2}{4}");
  EXPECT_EQ(text("reference_parsed"), "0.5");
  EXPECT_EQ(text("answer_parsed"), "(2/4)");
  EXPECT_EQ(text("equal"), "yes");
  EXPECT_EQ(text("rule"), "rounded");
}

}  // namespace
}  // namespace aha::rewards::math
