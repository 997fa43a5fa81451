#include "rewards/verifiers/steps.h"

#include <limits>
#include <string>

#include <gtest/gtest.h>

#include "rewards/registry.h"
#include "rewards/verifiers/math/steps.h"

namespace aha::rewards {
namespace {

// Each step as the text that ends with it, marked + where it holds and ! where it does not.
std::string Marked(std::string_view text) {
  std::string out(text);
  const auto steps = math::FindSteps(text);
  for (std::size_t i = steps.size(); i-- > 0;)
    out.insert(steps[i].end, steps[i].holds ? "[+]" : "[!]");
  return out;
}

struct StepCase {
  const char* text;
  const char* marked;
};
const StepCase kCases[] = {
    {"3 + 4 = 7", "3 + 4 = 7[+]"},
    {"3 + 4 = 8 so 8 - 2 = 6.", "3 + 4 = 8[!] so 8 - 2 = 6[+]."},
    {"3+4=7=14/2=6", "3+4=7[+]=14/2[+]=6[!]"},
    {"48/2 = <<48/2=24>>24 clips", "48/2 = <<48/2=24[+]>>24 clips"},
    {"2 + 3 * 4 = 14, (2 + 3) * 4 = 20", "2 + 3 * 4 = 14[+], (2 + 3) * 4 = 20[+]"},
    {"so (3 + 4 = 7) holds", "so (3 + 4 = 7[+]) holds"},
    {"$1,250 - $250 = $1,000", "$1,250 - $250 = $1,000[+]"},
    {"10 / 3 = 3.33, 10 / 3 = 3.34, 10 / 3 = 3",
     "10 / 3 = 3.33[+], 10 / 3 = 3.34[!], 10 / 3 = 3[!]"},
    {"0.1 + 0.2 = 0.3", "0.1 + 0.2 = 0.3[+]"},
    {"2 \\times 3 = 6 and 2 x 3 = 6 and 2×3=6", "2 \\times 3 = 6[+] and 2 x 3 = 6[+] and 2×3=6[+]"},
    {"9 minus 2 is 7 . 7 plus 1 is 9 .", "9 minus 2 is 7[+] . 7 plus 1 is 9[!] ."},
    {"-3 plus 5 is 2 . 2 minus 5 is -3 .", "-3 plus 5 is 2[+] . 2 minus 5 is -3[+] ."},
    {"8 divided by 2 equals 4", "8 divided by 2 equals 4[+]"},
    {"3 加 4 得 7 。 9 减 2 得 6 。", "3 加 4 得 7[+] 。 9 减 2 得 6[!] 。"},
    {"6 除以 4 等于 1.5", "6 除以 4 等于 1.5[+]"},
    {"12 = 5 + 7", "12 = 5 + 7[+]"},
    {"3 + 4 = 7 7 + 1 = 9", "3 + 4 = 7[+] 7 + 1 = 9[!]"},
    {"1 / 0 = 0, 4 / (2 - 2) = 1", "1 / 0 = 0, 4 / (2 - 2) = 1"},
    {"l\u2019id\u00e9e 1+1=2, caf\u00e9 2+2=4", "l\u2019id\u00e9e 1+1=2[+], caf\u00e9 2+2=4[+]"},
    // Nothing to work out, or not numbers alone.
    {"7 = 7 and the answer is 7", "7 = 7 and the answer is 7"},
    {"x + 3 = 7", "x + 3 = 7"},
    {"\u03c0 -3 + 5 = 4", "\u03c0 -3 + 5 = 4"},
    {"x -3 + 5 = 4", "x -3 + 5 = 4"},
    {"3 + 4 = 7x", "3 + 4 = 7x"},
    {"2^3 + 1 = 9, 1 + 1 = 2^1", "2^3 + 1 = 9, 1 + 1 = 2^1"},
    {"50 + 50 = 100%", "50 + 50 = 100%"},
    {"5 apples - 3 + 1 = 3", "5 apples - 3 + 1 = 3"},
    {"H2 + 1 = 4, ab3 + 1 = 4", "H2 + 1 = 4, ab3 + 1 = 4"},
    {"3 +\n4 = 7", "3 +\n4 = 7"},
    {"3 + = 7 ) + ( = 2 ((((", "3 + = 7 ) + ( = 2 (((("},
    {"", ""},
};

TEST(StepsTest, AreWorkedEquations) {
  for (const StepCase& c : kCases)
    EXPECT_EQ(Marked(c.text), c.marked);
}

TEST(StepsTest, HostileTextsEndSoon) {
  std::string product = "9";
  for (int i = 0; i < 200000; ++i)
    product += "*9";
  for (const std::string& text :
       {product + "=1", std::string(1 << 20, '('), std::string(1 << 20, '9') + "+1=2",
        std::string(1 << 20, '='), std::string("\xff\xfe 1 + 1 = 2 \xc3", 14)})
    EXPECT_LE(math::FindSteps(text).size(), 1U);
}

Outcome ScoreOf(const StepsReward& reward, std::string_view completion) {
  ScoreInput input;
  input.completion = completion;
  return ScoreSafely(reward, input);
}

TEST(StepsTest, EachEquationIsAStepOfTheOutcome) {
  const Outcome outcome = ScoreOf(StepsReward(1, -1), "3 + 4 = 7, 7 + 1 = 9");
  EXPECT_EQ(outcome.score(), 0);
  EXPECT_EQ(outcome.reason(), "1 of 2 hold");
  ASSERT_EQ(outcome.steps_size(), 2);
  EXPECT_EQ(outcome.steps(0).end(), 9U);
  EXPECT_EQ(outcome.steps(0).score(), 1);
  EXPECT_EQ(outcome.steps(1).end(), 20U);
  EXPECT_EQ(outcome.steps(1).score(), -1);
}

TEST(StepsTest, SayingItTwicePaysOnce) {
  const Outcome outcome = ScoreOf(StepsReward(1, 0), "3 + 4 = 7. 3+4 is 7. 3 + 4 = 8");
  EXPECT_EQ(outcome.steps_size(), 2);
  EXPECT_EQ(outcome.score(), .5);
}

TEST(StepsTest, WithoutAnEquationThereIsAScoreAndNoStep) {
  const Outcome outcome = ScoreOf(StepsReward(1, -.5), "seven");
  EXPECT_EQ(outcome.score(), -.5);
  EXPECT_EQ(outcome.reason(), "no_steps");
  EXPECT_EQ(outcome.steps_size(), 0);
}

TEST(StepsTest, IsABuiltInWithKeys) {
  const Registry registry = Registry::BuiltIns();
  EXPECT_TRUE(registry.Make("steps", "right: 2 wrong: -1"));
  EXPECT_FALSE(registry.Make("steps", "rihgt: 2"));
}

// ---- What any reward may say of steps.

struct StepTold {
  std::uint64_t end;
  double score;
};
Outcome Told(const std::vector<StepTold>& steps, bool scored = true) {
  Outcome outcome;
  if (scored) outcome.set_score(1);
  for (const auto& [end, score] : steps) {
    outcome.add_steps()->set_end(end);
    outcome.mutable_steps()->rbegin()->set_score(score);
  }
  return outcome;
}

class Says : public Reward {
 public:
  explicit Says(Outcome outcome) : outcome_(std::move(outcome)) {}
  [[nodiscard]] Outcome Score(const ScoreInput& input) const override {
    static_cast<void>(input);
    return outcome_;
  }

 private:
  Outcome outcome_;
};

TEST(StepScoresTest, ThoseThatBreakTheContractAreACrash) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_EQ(FaultOfSteps(Told({{2, 1}, {5, 0}}), 5), "");
  for (const Outcome& bad : {Told({{2, 1}, {2, 0}}), Told({{3, 1}, {2, 0}}), Told({{0, 1}}),
                             Told({{6, 1}}), Told({{2, nan}}), Told({{2, 1}}, false)}) {
    EXPECT_NE(FaultOfSteps(bad, 5), "");
    if (!bad.has_score()) continue;
    ScoreInput input;
    input.completion = "12345";
    const Outcome outcome = ScoreSafely(Says(bad), input);
    EXPECT_EQ(outcome.failure().kind(), proto::Failure::CRASH);
    EXPECT_EQ(outcome.steps_size(), 0);
  }
}

}  // namespace
}  // namespace aha::rewards
