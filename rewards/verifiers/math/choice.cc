#include "rewards/verifiers/math/choice.h"

#include "rewards/verifiers/math/normalize.h"

namespace aha::rewards::math {

std::optional<char> ChoiceLetter(std::string_view normalized) {
  constexpr auto kNone = std::string_view::npos;
  std::string_view text = TrimAnswer(normalized);
  for (const std::string_view word : {"the ", "The ", "correct ", "option ", "Option ", "choice ",
                                      "Choice ", "is ", "选项", "选"}) {
    if (text.starts_with(word)) text.remove_prefix(word.size());
  }
  while (text.starts_with(' '))
    text.remove_prefix(1);
  const bool open = text.starts_with('(') || text.starts_with('[');
  if (open) text.remove_prefix(1);
  if (text.empty()) return std::nullopt;
  const char letter = static_cast<char>(text.front() & ~32);
  const bool lower = text.front() >= 'a';
  if (letter < 'A' || letter > 'J' || static_cast<unsigned char>(text.front()) >= 0x80)
    return std::nullopt;
  text.remove_prefix(1);
  if (open && !text.starts_with(')') && !text.starts_with(']')) return std::nullopt;
  const bool bare = text.empty();
  // e and i alone are numbers.
  if (bare && lower && (letter == 'E' || letter == 'I')) return std::nullopt;
  const bool marked = !bare && std::string_view(").:,]").find(text.front()) != kNone &&
                      (text.size() == 1 || text[1] == ' ' || (open && text[1] == '.'));
  // "A, B" is two of them.
  if (marked && text.front() == ',') return std::nullopt;
  return bare || marked ? std::optional<char>(letter) : std::nullopt;
}

std::string_view BehindChoice(std::string_view normalized) {
  std::string_view text = TrimAnswer(normalized);
  const bool open = text.starts_with('(');
  if (open) text.remove_prefix(1);
  if (text.size() < 4 || text[0] < 'A' || text[0] > 'J') return {};
  if (open ? text[1] != ')' : std::string_view(").:").find(text[1]) == std::string_view::npos)
    return {};
  return text[2] == ' ' ? TrimAnswer(text.substr(3)) : std::string_view();
}

std::string ChoiceLetters(std::string_view normalized) {
  std::string letters;
  std::string_view text = TrimAnswer(normalized);
  while (!text.empty()) {
    bool joint = false;
    for (const std::string_view word : {"and", "、", "，", "和", "与", ",", " ", "(", ")"}) {
      if (!text.starts_with(word)) continue;
      text.remove_prefix(word.size());
      joint = true;
      break;
    }
    if (joint) continue;
    const char letter = text.front();
    if (letter < 'A' || letter > 'J' || (!letters.empty() && letter <= letters.back())) return {};
    letters.push_back(letter);
    text.remove_prefix(1);
  }
  return letters.size() > 1 ? letters : std::string();
}

}  // namespace aha::rewards::math
