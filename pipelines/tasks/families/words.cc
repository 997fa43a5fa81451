// Lists of words: say them again (repeat), find the one at a place (pick).

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>

#include "pipelines/tasks/families/family.h"
#include "pipelines/tasks/families/lexicon.h"

namespace aha::pipelines {
namespace {

std::vector<int> DrawWords(int length, DrawSequence& draw) {
  std::vector<int> words;
  while (static_cast<int>(words.size()) < length) {
    const int word = static_cast<int>(draw.Integer(0, std::ssize(AllWords()) - 1));
    if (std::find(words.begin(), words.end(), word) == words.end()) words.push_back(word);
  }
  return words;
}

std::string_view WordText(int word, Language language) {
  const Word& both = AllWords()[static_cast<std::size_t>(word)];
  return language == Language::kEnglish ? both.english : both.chinese;
}

std::string ListText(std::span<const int> words, Language language) {
  std::string text;
  for (const int word : words) {
    if (!text.empty()) text += ' ';
    text += WordText(word, language);
  }
  return text;
}

// Repeat. Content: the words.

Draft DrawRepeat(std::uint32_t band, DrawSequence& draw) {
  const int wording = DrawWording(draw);
  return {DrawWords(DrawLength(band, 2, 1, draw), draw), {wording}};
}

std::string AskRepeat(const Draft& draft, Language language) {
  static constexpr std::array<std::string_view, 3> kEnglish = {
      "Repeat in order : {} .", "Say again : {} .", "Please repeat : {} ."};
  static constexpr std::array<std::string_view, 3> kChinese = {
      "按顺序重复： {} 。", "再说一遍： {} 。", "请重复： {} 。"};
  return fmt::format(
      fmt::runtime(Wording(draft, language == Language::kEnglish ? kEnglish : kChinese)),
      ListText(draft.content, language));
}

// Two neighbours the wrong way round, or one word that was never there.
std::string WrongRepeat(const Draft& draft, Language language, DrawSequence& draw) {
  std::vector<int> words = draft.content;
  const auto at = static_cast<std::size_t>(draw.Integer(0, std::ssize(words) - 2));
  if (draw.Chance(0.5)) {
    std::swap(words[at], words[at + 1]);
  } else {
    const auto shift = static_cast<int>(draw.Integer(1, std::ssize(AllWords()) - 1));
    words[at] = (words[at] + shift) % static_cast<int>(AllWords().size());
  }
  return ListText(words, language);
}

std::string ThinkRepeat(const Draft& draft, Language language, Pen& pen) {
  pen.Step();
  pen.Say("I say the words again in order .", "我 按 顺序 再 说 一遍 。");
  return pen.slips() ? WrongRepeat(draft, language, pen.draw()) : ListText(draft.content, language);
}

// Pick. Content: the place asked for, from 1, then the words.

Draft DrawPick(std::uint32_t band, DrawSequence& draw) {
  const int wording = DrawWording(draw);
  const int length = DrawLength(band, 3, 2, draw);
  std::vector<int> content = {static_cast<int>(draw.Integer(1, length))};
  const std::vector<int> words = DrawWords(length, draw);
  content.insert(content.end(), words.begin(), words.end());
  return {std::move(content), {wording}};
}

std::string AskPick(const Draft& draft, Language language) {
  static constexpr std::array<std::string_view, 2> kEnglish = {"Which word is number {} in : {} ?",
                                                               "What is word {} of : {} ?"};
  static constexpr std::array<std::string_view, 2> kChinese = {"第 {} 个词是什么： {} ？",
                                                               "说出第 {} 个词： {} 。"};
  return fmt::format(
      fmt::runtime(Wording(draft, language == Language::kEnglish ? kEnglish : kChinese)),
      draft.content[0], ListText(std::span(draft.content).subspan(1), language));
}

// Another word of the list.
std::string WrongPick(const Draft& draft, Language language, DrawSequence& draw) {
  const int length = static_cast<int>(draft.content.size()) - 1;
  const int place = (draft.content[0] - 1 + static_cast<int>(draw.Integer(1, length - 1))) % length;
  return std::string(WordText(draft.content[static_cast<std::size_t>(place) + 1], language));
}

std::string ThinkPick(const Draft& draft, Language language, Pen& pen) {
  pen.Step();
  pen.Say("I count to word {} .", "我 数 到 第 {} 个 词 。", draft.content[0]);
  if (pen.slips()) return WrongPick(draft, language, pen.draw());
  return std::string(WordText(draft.content[static_cast<std::size_t>(draft.content[0])], language));
}

}  // namespace

constinit const Family kRepeat = {{"repeat", "say 2, 3 or 4 words again in order", true, "exact"},
                                  DrawRepeat,
                                  AskRepeat,
                                  ThinkRepeat,
                                  WrongRepeat};

constinit const Family kPick = {
    {"pick", "the word at a place of a list of 3-4, 5-6 or 7-8", true, "exact"},
    DrawPick,
    AskPick,
    ThinkPick,
    WrongPick};

}  // namespace aha::pipelines
