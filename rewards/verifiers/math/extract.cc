#include "rewards/verifiers/math/extract.h"

#include <algorithm>
#include <array>

#include "rewards/verifiers/math/find_number.h"

namespace aha::rewards::math {
namespace {

constexpr auto kNone = std::string_view::npos;
constexpr std::size_t kMostSegments = 64;
constexpr std::size_t kMostBoxes = 64;

bool IsLetter(char c) {
  return (c | 32) >= 'a' && (c | 32) <= 'z';
}
bool IsDigit(char c) {
  return c >= '0' && c <= '9';
}
bool IsBlank(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

std::string_view Trim(std::string_view text) {
  while (!text.empty() && IsBlank(text.front()))
    text.remove_prefix(1);
  while (!text.empty() && IsBlank(text.back()))
    text.remove_suffix(1);
  return text;
}

// `what` is in lower case.
bool AtAnyCase(std::string_view text, std::size_t at, std::string_view what) {
  if (text.size() - at < what.size()) return false;
  for (std::size_t i = 0; i < what.size(); ++i) {
    const char c = text[at + i];
    if ((c >= 'A' && c <= 'Z' ? static_cast<char>(c | 32) : c) != what[i]) return false;
  }
  return true;
}

struct Box {
  std::size_t begin = 0;  // of the command
  std::size_t open = 0;   // behind the opening brace
  std::size_t close = 0;  // the closing brace
};

// All closed boxes, outermost only, in order: one pass with a stack of open braces.
std::vector<Box> ClosedBoxes(std::string_view text) {
  constexpr std::array<std::string_view, 2> kCommands = {"\\boxed", "\\fbox"};
  struct Brace {
    std::size_t begin = kNone;  // of the box that it belongs to, if any
    std::size_t open = 0;
  };
  std::vector<Brace> stack;
  std::vector<Box> boxes;
  std::size_t box_begin = kNone;  // a command was read, its brace is due
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '\\') {
      box_begin = kNone;
      if (text.substr(i + 1, 6) == "\\boxed") continue;  // its backslash was escaped once too often
      for (const auto command : kCommands) {
        if (text.substr(i, command.size()) != command) continue;
        box_begin = i;
        i += command.size() - 1;
        break;
      }
      if (box_begin == kNone) ++i;  // an escaped brace is none
      continue;
    }
    if (c == '{') {
      stack.push_back({box_begin, i + 1});
    } else if (c == '}' && !stack.empty()) {
      const Brace brace = stack.back();
      stack.pop_back();
      if (brace.begin != kNone) {
        while (!boxes.empty() && boxes.back().begin > brace.begin)
          boxes.pop_back();
        boxes.push_back({brace.begin, brace.open, i});
      }
    }
    if (!IsBlank(c)) box_begin = kNone;
  }
  return boxes;
}

// "\boxed{1} papers and \boxed{2}", "\boxed{1} and y = \boxed{2}"
bool EndsWithAnd(std::string_view between) {
  while (!between.empty() && std::string_view(" \t$(\\").find(between.back()) != kNone)
    between.remove_suffix(1);
  if (between.ends_with('=')) {
    between = Trim(between.substr(0, between.size() - 1));
    const auto name = between.find_last_of(" (");
    if (name == kNone || between.size() - name > 12) return false;
    return EndsWithAnd(between.substr(0, name + 1));
  }
  while (between.ends_with('}'))
    between = Trim(between.substr(0, between.size() - 1));
  return between.ends_with(" and") && between.find_first_of(".\n") == kNone;
}

bool JoinsBoxes(std::string_view between) {
  if (between.size() > 48) return false;
  if (EndsWithAnd(between)) return true;
  constexpr std::array<std::string_view, 8> kJoints = {"and", "or", "\\text", "\\quad",
                                                       "和",  "或", "，",     "、"};
  for (std::size_t i = 0; i < between.size();) {
    if (IsBlank(between[i]) || std::string_view(",$;{}&\\()[]").find(between[i]) != kNone) {
      bool command = false;
      for (const auto joint : {kJoints[2], kJoints[3]}) {
        if (between.substr(i, joint.size()) == joint) {
          i += joint.size();
          command = true;
          break;
        }
      }
      if (!command) ++i;
      continue;
    }
    const auto joint = std::find_if(kJoints.begin(), kJoints.end(), [&](std::string_view word) {
      return between.substr(i, word.size()) == word;
    });
    if (joint == kJoints.end()) return false;
    i += joint->size();
  }
  return true;
}

// "\\boxed{20}\\%", "$\\boxed{20}$ percent": the sign belongs to the number.
bool PercentBehind(std::string_view text) {
  while (!text.empty() && (IsBlank(text.front()) || text.front() == '$'))
    text.remove_prefix(1);
  if (text.starts_with("\\)")) text = Trim(text.substr(2));
  if (text.starts_with("\\%") || text.starts_with('%')) return true;
  constexpr std::string_view kWord = "percent";
  return text.starts_with(kWord) && (text.size() == kWord.size() || !IsLetter(text[kWord.size()]));
}

// A sentence ends at a line break, at 。 ； ！, or at a full stop that a blank or nothing follows.
std::string_view Sentence(std::string_view text) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\n' || text.substr(i, 3) == "。" || text.substr(i, 3) == "；" ||
        text.substr(i, 3) == "！") {
      return text.substr(0, i);
    }
    if (text[i] == '.' && (i + 1 == text.size() || IsBlank(text[i + 1]))) return text.substr(0, i);
  }
  return text;
}

}  // namespace

std::optional<std::string> LastBoxes(std::string_view text, bool percent_behind) {
  if (text.find("\\boxed") == kNone && text.find("\\fbox") == kNone) return std::nullopt;
  const std::vector<Box> boxes = ClosedBoxes(text);
  if (boxes.empty()) return std::nullopt;
  std::size_t first = boxes.size() - 1;
  while (first > 0) {
    const std::size_t from = boxes[first - 1].close + 1;
    if (!JoinsBoxes(text.substr(from, boxes[first].begin - from))) break;
    --first;
  }
  if (boxes.size() - first > kMostBoxes) first = boxes.size() - kMostBoxes;
  std::string out;
  std::vector<std::string_view> said;  // the same box twice is one
  for (std::size_t i = first; i < boxes.size(); ++i) {
    const std::string_view inside =
        Trim(text.substr(boxes[i].open, boxes[i].close - boxes[i].open));
    if (said.size() < kMostBoxes && std::find(said.begin(), said.end(), inside) != said.end())
      continue;
    if (!said.empty()) out += ", ";
    out += inside;
    if (said.size() < kMostBoxes) said.push_back(inside);
  }
  if (percent_behind && said.size() == 1 && out.find('%') == std::string::npos &&
      PercentBehind(text.substr(boxes.back().close + 1)))
    out += "\\%";
  return out;
}

std::optional<std::string_view> AfterPhrase(std::string_view text) {
  constexpr std::string_view kPhrases[] = {"answer is",
                                           "answer:",
                                           "answer =",
                                           "answers are",
                                           "answers:",
                                           "answer to the question is",
                                           "答案是",
                                           "答案为",
                                           "答案就是",
                                           "答案应为",
                                           "答案应该是",
                                           "答案：",
                                           "答案:",
                                           "####",
                                           "correct option is",
                                           "correct choice is",
                                           "故选"};
  std::optional<std::string_view> found;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    if ((c | 32) != 'a' && (c | 32) != 'c' && c != 0xE6 && c != 0xE7 && c != '#') continue;
    for (const auto phrase : kPhrases) {
      if (!AtAnyCase(text, i, phrase)) continue;
      std::string_view rest = text.substr(i + phrase.size());
      while (!rest.empty() &&
             (IsBlank(rest.front()) || rest.front() == ':' || rest.front() == '*')) {
        rest.remove_prefix(1);
      }
      if (rest.starts_with("：")) rest.remove_prefix(3);
      if (phrase == "故选" && rest.starts_with("择")) break;  // it goes on: so choose ...
      // Measured later: a text may hold very many of these phrases.
      if (!rest.empty()) found = rest;
      break;
    }
  }
  if (!found) return std::nullopt;
  const std::string_view sentence = Trim(Sentence(*found));
  if (sentence.empty()) return std::nullopt;
  return sentence;
}

std::string_view BehindThinking(std::string_view completion) {
  constexpr std::string_view kEnd = "</think>";
  const auto at = completion.rfind(kEnd);
  return at == kNone ? completion : completion.substr(at + kEnd.size());
}

std::vector<std::string_view> MathSegments(std::string_view text) {
  std::vector<std::string_view> segments;
  for (std::size_t i = 0; i + 1 < text.size() && segments.size() < kMostSegments;) {
    std::string_view close;
    std::size_t open = 2;
    if (text.substr(i, 2) == "$$") {
      close = "$$";
    } else if (text[i] == '$') {
      close = "$";
      open = 1;
    } else if (text.substr(i, 2) == "\\(") {
      close = "\\)";
    } else if (text.substr(i, 2) == "\\[") {
      close = "\\]";
    } else {
      i += text[i] == '\\' ? 2 : 1;
      continue;
    }
    std::size_t end = text.find(close, i + open);
    while (end != kNone && close[0] == '$' && text[end - 1] == '\\')
      end = text.find(close, end + 1);
    if (end == kNone) break;
    segments.push_back(text.substr(i + open, end - i - open));
    i = end + close.size();
  }
  return segments;
}

std::optional<Extracted> ExtractMarked(std::string_view completion) {
  constexpr std::string_view kOpen = "<answer>";
  constexpr std::string_view kClose = "</answer>";
  if (const auto at = completion.rfind(kOpen); at != kNone) {
    const std::string_view inside = completion.substr(at + kOpen.size());
    return Extracted{std::string(Trim(inside.substr(0, inside.find(kClose)))), Found::kTag};
  }
  const std::string_view visible = BehindThinking(completion);
  if (auto boxes = LastBoxes(visible)) return Extracted{*std::move(boxes), Found::kBoxed};
  if (const auto phrase = AfterPhrase(visible)) {
    return Extracted{std::string(*phrase), Found::kPhrase};
  }
  return std::nullopt;
}

// 2,74 is one number to those who write a decimal comma.
static std::size_t BehindDecimalComma(std::string_view text, std::size_t begin, std::size_t end) {
  const std::string_view digits = text.substr(begin, end - begin);
  if (digits.find_first_not_of("-0123456789") != kNone || (begin > 0 && text[begin - 1] == ',') ||
      end + 1 >= text.size() || text[end] != ',' || !IsDigit(text[end + 1]))
    return end;
  std::size_t last = end + 1;
  while (last < text.size() && IsDigit(text[last]))
    ++last;
  // 1,2,3 is a list.
  if (last + 1 < text.size() && text[last] == ',' && IsDigit(text[last + 1])) return end;
  return last;
}

std::vector<std::string_view> NumbersIn(std::string_view normalized, bool last_only) {
  std::vector<std::string_view> numbers;
  for (std::size_t i = 0; i < normalized.size();) {
    const char c = normalized[i];
    const char before = i > 0 ? normalized[i - 1] : ' ';
    const bool part =
        IsLetter(before) || IsDigit(before) || before == '_' || before == '^' || before == '.';
    const bool sign = c == '-' && before != ')' && !part;
    const bool point = c == '.' && !part;
    if ((IsDigit(c) && !part) || sign || point) {
      std::size_t end = i;
      if (FindNumber(normalized, &end)) {
        end = BehindDecimalComma(normalized, i, end);
        if (last_only) numbers.clear();
        numbers.push_back(normalized.substr(i, end - i));
        i = end;
        continue;
      }
      // Digits that are no number here (too many, a zero below) are passed over as a whole.
      while (i + 1 < normalized.size() && IsDigit(normalized[i]) && IsDigit(normalized[i + 1]))
        ++i;
    }
    ++i;
  }
  return numbers;
}

}  // namespace aha::rewards::math
