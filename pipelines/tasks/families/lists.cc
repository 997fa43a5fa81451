// Going through a list: how often something occurs (count), which number is the largest or the
// smallest (largest).

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "pipelines/tasks/families/family.h"

namespace aha::pipelines {
namespace {

// Count. Content: the symbol asked for, then the list; symbols index kSymbols.

// Neither A nor I: the language reward would take them for English words.
constexpr std::string_view kSymbols = "BCDEKMPRST23456789";
constexpr int kLetters = 10;

char Symbol(int index) {
  return kSymbols[static_cast<std::size_t>(index)];
}

int Occurrences(const Draft& draft) {
  return static_cast<int>(
      std::count(draft.content.begin() + 1, draft.content.end(), draft.content[0]));
}

Draft DrawCount(std::uint32_t band, DrawSequence& draw) {
  const int wording = DrawWording(draw);
  const int length = DrawLength(band, 5, 3, draw);
  const bool letters = draw.Chance(0.5);
  const auto symbol = [&] {
    return static_cast<int>(letters ? draw.Integer(0, kLetters - 1)
                                    : draw.Integer(kLetters, std::ssize(kSymbols) - 1));
  };
  std::array<int, 3> kinds = {symbol(), symbol(), symbol()};
  while (kinds[1] == kinds[0])
    kinds[1] = symbol();
  while (kinds[2] == kinds[0] || kinds[2] == kinds[1])
    kinds[2] = symbol();
  std::vector<int> content = {kinds[0]};
  for (int i = 0; i < length; ++i) {
    content.push_back(draw.Chance(0.5) ? kinds[0] : draw.Pick(std::span(kinds).subspan(1)));
  }
  return {std::move(content), {wording}};
}

std::string AskCount(const Draft& draft, Language language) {
  std::string list;
  for (std::size_t i = 1; i < draft.content.size(); ++i) {
    if (i > 1) list += ' ';
    list += Symbol(draft.content[i]);
  }
  static constexpr std::array<std::string_view, 2> kEnglish = {"How many {} are in : {} ?",
                                                               "Count the {} in : {} ."};
  static constexpr std::array<std::string_view, 2> kChinese = {"有几个 {} ： {} ？",
                                                               "数一数 {} 有几个： {} 。"};
  return fmt::format(
      fmt::runtime(Wording(draft, language == Language::kEnglish ? kEnglish : kChinese)),
      Symbol(draft.content[0]), list);
}

std::string ThinkCount(const Draft& draft, Language /*language*/, Pen& pen) {
  int count = 0;
  for (std::size_t i = 1; i < draft.content.size(); ++i) {
    const int symbol = draft.content[i];
    pen.Step();
    // A slip takes the symbol for what it is not.
    if ((symbol == draft.content[0]) != pen.slips()) {
      ++count;
      pen.Say("{} yes {} .", "{} 是 {} 。", Symbol(symbol), count);
    } else {
      pen.Say("{} no {} .", "{} 否 {} 。", Symbol(symbol), count);
    }
  }
  return std::to_string(count);
}

std::string WrongCount(const Draft& draft, Language /*language*/, DrawSequence& draw) {
  return std::to_string(NearMiss(Occurrences(draft), 2, draw));
}

// Largest. Content: 1 for the largest or 0 for the smallest, then different two-digit numbers.

Draft DrawLargest(std::uint32_t band, DrawSequence& draw) {
  const int wording = DrawWording(draw);
  const int length = DrawLength(band, 4, 2, draw);
  std::vector<int> content = {static_cast<int>(draw.Integer(0, 1))};
  while (static_cast<int>(content.size()) <= length) {
    const int number = static_cast<int>(draw.Integer(10, 99));
    if (std::find(content.begin() + 1, content.end(), number) == content.end()) {
      content.push_back(number);
    }
  }
  return {std::move(content), {wording}};
}

std::string AskLargest(const Draft& draft, Language language) {
  const bool english = language == Language::kEnglish;
  const bool largest = draft.content[0] == 1;
  const std::string list =
      fmt::format("{}", fmt::join(draft.content.begin() + 1, draft.content.end(), " "));
  static constexpr std::array<std::string_view, 3> kEnglish = {
      "Which is the {} : {} ?", "Find the {} number : {} .", "What is the {} of these : {} ?"};
  static constexpr std::array<std::string_view, 3> kChinese = {
      "哪个{}： {} ？", "找出{}的数： {} 。", "{}的是哪个： {} ？"};
  const std::string_view word =
      english ? (largest ? "largest" : "smallest") : (largest ? "最大" : "最小");
  return fmt::format(fmt::runtime(Wording(draft, english ? kEnglish : kChinese)), word, list);
}

std::string ThinkLargest(const Draft& draft, Language /*language*/, Pen& pen) {
  const bool largest = draft.content[0] == 1;
  int best = draft.content[1];
  for (std::size_t i = 2; i < draft.content.size(); ++i) {
    const int before = best;
    const int number = draft.content[i];
    pen.Step();
    const bool better = largest ? number > best : number < best;
    if (better != pen.slips()) best = number;
    pen.Say("{} or {} take {} .", "{} 和 {} 取 {} 。", before, number, best);
  }
  return std::to_string(best);
}

std::string WrongLargest(const Draft& draft, Language /*language*/, DrawSequence& draw) {
  std::vector<int> numbers(draft.content.begin() + 1, draft.content.end());
  std::sort(numbers.begin(), numbers.end());
  if (draft.content[0] == 1) std::reverse(numbers.begin(), numbers.end());
  // The runners-up are the likely mistakes.
  return std::to_string(numbers[static_cast<std::size_t>(draw.Integer(1, 2))]);
}

}  // namespace

constinit const Family kCount = {
    {"count", "how often a letter or digit is in a list of 5-7, 8-10 or 11-13", false, "math"},
    DrawCount,
    AskCount,
    ThinkCount,
    WrongCount};

constinit const Family kLargest = {
    {"largest", "largest or smallest of 4-5, 6-7 or 8-9 two-digit numbers", false, "math"},
    DrawLargest,
    AskLargest,
    ThinkLargest,
    WrongLargest};

}  // namespace aha::pipelines
