// Slips: a wrong step from which the working carries on without another mistake.

#include "pipelines/tasks/solver.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/pipelines/task_samples.h"

namespace aha::pipelines {
namespace {

struct Step {
  int before, by, after;
  std::string sign;
};

// "3 plus 5 is 8 . 8 minus 2 is 6 ." taken to pieces; a closing sentence is left out.
std::vector<Step> StepsOf(const std::string& text) {
  std::vector<Step> steps;
  const std::vector<std::string> tokens = Tokens(text);
  for (std::size_t i = 0; i + 5 < tokens.size() && IsNumber(tokens[i]); i += 6) {
    steps.push_back(
        {std::stoi(tokens[i]), std::stoi(tokens[i + 2]), std::stoi(tokens[i + 4]), tokens[i + 1]});
  }
  return steps;
}

int RightResult(const Step& step) {
  if (step.sign == "plus" || step.sign == "加") return step.before + step.by;
  if (step.sign == "minus" || step.sign == "减") return step.before - step.by;
  const bool forward = step.sign == "forward" || step.sign == "前进";
  return (step.before + (forward ? step.by : 12 - step.by) + 11) % 12 + 1;
}

class SlipTest : public testing::TestWithParam<TaskSpec> {};

TEST_P(SlipTest, CarriesOnFromASlip) {
  int with_one_slip = 0;
  for (std::uint64_t k = 0; k < 300; ++k) {
    const Problem problem = Sample(GetParam(), k);
    const Thought thought =
        Think(problem, {ThoughtIn(problem.language), 0.2}, KeyedRandom(k, "slip"));
    const std::vector<Step> steps = StepsOf(thought.text);
    ASSERT_FALSE(steps.empty()) << thought.text;
    int wrong = 0;
    for (std::size_t i = 0; i < steps.size(); ++i) {
      if (i > 0) {
        EXPECT_EQ(steps[i].before, steps[i - 1].after) << thought.text;
      }
      EXPECT_GE(steps[i].after, 0) << thought.text;
      if (steps[i].after != RightResult(steps[i])) ++wrong;
    }
    EXPECT_EQ(wrong, thought.slips) << thought.text;
    EXPECT_EQ(std::to_string(steps.back().after), thought.answer);
    if (thought.slips == 1) {
      ++with_one_slip;
      EXPECT_NE(thought.answer, problem.answer) << thought.text;
    }
  }
  EXPECT_GT(with_one_slip, 50);
}

INSTANTIATE_TEST_SUITE_P(Steps,
                         SlipTest,
                         testing::Values(TaskSpec{"chain", 1, "en"},
                                         TaskSpec{"chain", 2, "zh"},
                                         TaskSpec{"chain", 3, "en"},
                                         TaskSpec{"clock", 1, "zh"},
                                         TaskSpec{"clock", 2, "en"}),
                         [](const auto& p) {
                           return p.param.family + std::to_string(p.param.band) + p.param.language;
                         });

TEST(Solver, EveryFamilySlipsIntoWrongAnswers) {
  for (const TaskSpec& spec : AllSpecs()) {
    int wrong = 0;
    int slipped = 0;
    for (std::uint64_t k = 0; k < 200; ++k) {
      const Problem problem = Sample(spec, k);
      const Thought thought =
          Think(problem, {ThoughtLanguage::kEnglish, 0.3}, KeyedRandom(k, "slip"));
      if (thought.slips == 0) {
        EXPECT_EQ(thought.answer, problem.answer);
        continue;
      }
      ++slipped;
      if (thought.answer != problem.answer) ++wrong;
      if (!problem.general) {  // what is said last is what is answered
        EXPECT_EQ(Tokens(thought.text).at(Tokens(thought.text).size() - 2), thought.answer);
      }
    }
    EXPECT_GT(slipped, 30) << spec.family;
    EXPECT_GT(wrong, slipped / 4) << spec.family;
  }
}

TEST(Solver, PutsBothPartsInTags) {
  const Problem problem = Sample({"swap", 2, "en"}, 3);
  const KeyedRandom random(3, "think");
  const ThoughtStyle style = {ThoughtLanguage::kMixed, 0.5};
  const Thought thought = Think(problem, style, random);
  EXPECT_EQ(WriteCompletion(problem, style, random),
            "<think>" + thought.text + "</think><answer>" + thought.answer + "</answer>");
  EXPECT_EQ(WriteThinking(problem, style, random), thought.text);
}

TEST(Solver, MixesLanguagesStepByStep) {
  int both = 0;
  for (std::uint64_t k = 0; k < 50; ++k) {
    const std::string text = WriteThinking(Sample({"chain", 2, "en"}, k),
                                           {ThoughtLanguage::kMixed, 0}, KeyedRandom(k, "mixed"));
    if (text.find(" is ") != std::string::npos && text.find(" 得 ") != std::string::npos) ++both;
  }
  EXPECT_GT(both, 35);
}

}  // namespace
}  // namespace aha::pipelines
