// Phrases from the question's language into the other: [number] [quality] [colour] noun.
// Content: number, quality and colour (0: none, else index + 1), then the noun's index.

#include <array>

#include <fmt/format.h>

#include "pipelines/tasks/families/family.h"
#include "pipelines/tasks/families/lexicon.h"

namespace aha::pipelines {
namespace {

constexpr std::size_t kModifiers = 3;

std::array<std::span<const Word>, kModifiers> Modifiers() {
  return {Numbers(), Qualities(), Colours()};
}

// Which modifiers a phrase of each band has, as bits: at most one, two, all three.
constexpr std::array<unsigned, 4> kShort = {0, 1, 2, 4};
constexpr std::array<unsigned, 3> kMiddle = {3, 5, 6};
constexpr std::array<unsigned, 1> kLong = {7};

Draft DrawPhrase(std::uint32_t band, DrawSequence& draw) {
  const int wording = DrawWording(draw);
  const unsigned form = band == 1   ? draw.Pick(kShort)
                        : band == 2 ? draw.Pick(kMiddle)
                                    : draw.Pick(kLong);
  std::vector<int> content;
  for (std::size_t i = 0; i < kModifiers; ++i) {
    const auto word = static_cast<int>(draw.Integer(1, std::ssize(Modifiers()[i])));
    content.push_back((form >> i) & 1U ? word : 0);
  }
  content.push_back(static_cast<int>(draw.Integer(0, std::ssize(Nouns()) - 1)));
  return {std::move(content), {wording}};
}

std::string EnglishPhrase(const std::vector<int>& content) {
  std::string text;
  for (std::size_t i = 0; i < kModifiers; ++i) {
    if (content[i] == 0) continue;
    text += Modifiers()[i][static_cast<std::size_t>(content[i]) - 1].english;
    text += ' ';
  }
  const Noun& noun = Nouns()[static_cast<std::size_t>(content[kModifiers])];
  text += content[0] == 0 ? noun.english : noun.plural;
  return text;
}

std::string ChinesePhrase(const std::vector<int>& content) {
  const Noun& noun = Nouns()[static_cast<std::size_t>(content[kModifiers])];
  std::string text;
  for (std::size_t i = 0; i < kModifiers; ++i) {
    if (content[i] == 0) continue;
    text += Modifiers()[i][static_cast<std::size_t>(content[i]) - 1].chinese;
    if (i == 0) text += noun.measure;
  }
  text += noun.chinese;
  return text;
}

std::string Translation(const std::vector<int>& content, Language asked_in) {
  return asked_in == Language::kEnglish ? ChinesePhrase(content) : EnglishPhrase(content);
}

std::string AskTranslate(const Draft& draft, Language language) {
  static constexpr std::array<std::string_view, 3> kEnglish = {
      "How do you say {} in Chinese ?", "Put into Chinese : {} .", "What is {} in Chinese ?"};
  static constexpr std::array<std::string_view, 3> kChinese = {
      "{} 用英语怎么说？", "说成英语： {} 。", "{} 的英语是什么？"};
  return language == Language::kEnglish
             ? fmt::format(fmt::runtime(Wording(draft, kEnglish)), EnglishPhrase(draft.content))
             : fmt::format(fmt::runtime(Wording(draft, kChinese)), ChinesePhrase(draft.content));
}

// One word of the phrase becomes another of its kind.
std::string WrongTranslate(const Draft& draft, Language language, DrawSequence& draw) {
  std::vector<int> content = draft.content;
  std::vector<std::size_t> present = {kModifiers};
  for (std::size_t i = 0; i < kModifiers; ++i) {
    if (content[i] != 0) present.push_back(i);
  }
  const std::size_t at = draw.Pick(present);
  const auto choices = static_cast<int>(at == kModifiers ? Nouns().size() : Modifiers()[at].size());
  const int base = at == kModifiers ? 0 : 1;
  const int shift = static_cast<int>(draw.Integer(1, choices - 1));
  content[at] = (content[at] - base + shift) % choices + base;
  return Translation(content, language);
}

std::string ThinkTranslate(const Draft& draft, Language language, Pen& pen) {
  pen.Step();
  if (language == Language::kEnglish) {
    pen.Say("I say it in Chinese .", "我 用 中文 说 。");
  } else {
    pen.Say("I say it in English .", "我 用 英语 说 。");
  }
  return pen.slips() ? WrongTranslate(draft, language, pen.draw())
                     : Translation(draft.content, language);
}

}  // namespace

constinit const Family kTranslate = {
    {"translate", "a phrase of 1-2, 3 or 4 words into the other language", true, "exact"},
    DrawPhrase,
    AskTranslate,
    ThinkTranslate,
    WrongTranslate};

}  // namespace aha::pipelines
