#include "pipelines/tasks/solver.h"

#include <fmt/format.h>

#include "pipelines/tasks/families/family.h"

namespace aha::pipelines {
namespace {

// How often a working ends by saying its result once more.
constexpr double kClosing = 0.25;

Language LanguageOf(const Problem& problem) {
  return problem.language == "zh" ? Language::kChinese : Language::kEnglish;
}

}  // namespace

ThoughtLanguage ThoughtIn(std::string_view language) {
  return language == "zh" ? ThoughtLanguage::kChinese : ThoughtLanguage::kEnglish;
}

Thought Think(const Problem& problem, const ThoughtStyle& style, KeyedRandom random) {
  const Family* family = FindFamily(problem.family);
  if (family == nullptr) return {};
  Pen pen(style, random);
  std::string answer = family->think({problem.content, problem.surface}, LanguageOf(problem), pen);
  if (!problem.general && pen.draw().Chance(kClosing)) {
    pen.PlainStep();
    pen.Say("so it is {} .", "所以 是 {} 。", answer);
  }
  return {pen.text(), std::move(answer), pen.slip_count()};
}

std::string WriteThinking(const Problem& problem, const ThoughtStyle& style, KeyedRandom random) {
  return Think(problem, style, random).text;
}

std::string WriteCompletion(const Problem& problem, const ThoughtStyle& style, KeyedRandom random) {
  const Thought thought = Think(problem, style, random);
  return fmt::format("<think>{}</think><answer>{}</answer>", thought.text, thought.answer);
}

std::string WrongAnswer(const Problem& problem, KeyedRandom random) {
  const Family* family = FindFamily(problem.family);
  if (family == nullptr) return {};
  DrawSequence draw(random);
  return family->wrong({problem.content, problem.surface}, LanguageOf(problem), draw);
}

}  // namespace aha::pipelines
