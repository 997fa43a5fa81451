#pragma once
/// The solver writes the working of a problem as a person would say it: for the corpus, the cold
/// start and the rejection stage's gaps.

#include <cstdint>
#include <string>
#include <string_view>

#include "base/keyed_random.h"
#include "pipelines/tasks/problem.h"

namespace aha::pipelines {

/// The language of the steps; kMixed draws it for each step.
enum class ThoughtLanguage : std::uint8_t { kEnglish, kChinese, kMixed };

/// "zh" is kChinese, all else kEnglish.
ThoughtLanguage ThoughtIn(std::string_view language);

struct ThoughtStyle {
  ThoughtLanguage language = ThoughtLanguage::kEnglish;
  /// Chance of a slip in a step; the steps after it carry on from the wrong result.
  double wrong_step = 0;
};

/// A worked problem.
struct Thought {
  std::string text;    ///< words and digits with one space between
  std::string answer;  ///< what the working arrived at: right unless a slip got through
  int slips = 0;       ///< steps with a slip in them
};

/// Works `problem` (one of MakeProblem's) out. Pure in its arguments.
Thought Think(const Problem& problem, const ThoughtStyle& style, KeyedRandom random);

/// Think's text alone.
std::string WriteThinking(const Problem& problem, const ThoughtStyle& style, KeyedRandom random);

/// "<think>text</think><answer>answer</answer>" of Think.
std::string WriteCompletion(const Problem& problem, const ThoughtStyle& style, KeyedRandom random);

/// A wrong answer of the right kind and near the right one: another hour, another cup of the row,
/// a number a little off.
std::string WrongAnswer(const Problem& problem, KeyedRandom random);

}  // namespace aha::pipelines
