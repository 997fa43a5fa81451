#include "rewards/verifiers/math/answer.h"

#include <algorithm>

#include "rewards/verifiers/math/normalize.h"
#include "rewards/verifiers/math/units.h"

namespace aha::rewards::math {
namespace {

constexpr auto kNone = std::string_view::npos;
constexpr std::size_t kMostItems = 64;
constexpr int kDeepest = 8;

bool IsLetter(char c) {
  return (c | 32) >= 'a' && (c | 32) <= 'z';
}
bool IsDigit(char c) {
  return c >= '0' && c <= '9';
}

std::string_view Trim(std::string_view text) {
  while (!text.empty() && text.front() == ' ')
    text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ')
    text.remove_suffix(1);
  return text;
}

// A variable: x, y_1, \theta, f(x), AB, angle A.
bool IsName(std::string_view text) {
  if (text.empty() || text.size() > 32) return false;
  const auto lead = static_cast<unsigned char>(text.front());
  if (!IsLetter(text.front()) && lead < 0x80) return false;
  return std::all_of(text.begin(), text.end(), [](char c) {
    return IsLetter(c) || IsDigit(c) || static_cast<unsigned char>(c) >= 0x80 ||
           std::string_view("_'() ").find(c) != kNone;
  });
}

// "x = v" and "v = x" become v with the name x; other equations stay whole.
std::string_view TakeName(std::string_view text, std::string* name) {
  const auto first = text.find('=');
  if (first == kNone || (first > 0 && (text[first - 1] == '<' || text[first - 1] == '>')))
    return text;
  // "x = 1, y = 2" is a list of equations.
  const std::string_view middle = text.substr(first, text.rfind('=') - first);
  for (const std::string_view joint : {",", ";", " and ", " or "}) {
    if (middle.find(joint) != kNone) return text;
  }
  const std::string_view left = Trim(text.substr(0, first));
  const std::string_view right = Trim(text.substr(text.rfind('=') + 1));
  if (right.empty() || left.empty()) return text;
  if (IsName(left)) {
    *name = TextKey(left);
    return right;
  }
  if (IsName(right) && text.rfind('=') == first) {
    *name = TextKey(right);
    return left;
  }
  return text;
}

// Splits at commas and semicolons outside brackets, and at " and " / " or "; one item: not a list.
std::vector<std::string_view> SplitItems(std::string_view text, bool words) {
  std::vector<std::string_view> items;
  int depth = 0;
  std::size_t start = 0;
  const auto cut = [&](std::size_t end, std::size_t next) {
    items.push_back(Trim(text.substr(start, end - start)));
    start = next;
  };
  for (std::size_t i = 0; i < text.size() && items.size() <= kMostItems; ++i) {
    const char c = text[i];
    if (c == '(' || c == '[' || c == '{') ++depth;
    if (c == ')' || c == ']' || c == '}') --depth;
    if (depth != 0) continue;
    if (c == ',' || c == ';') {
      cut(i, i + 1);
    } else if (words && c == ' ') {
      for (const std::string_view joint : {" and ", " or ", " 和 ", " 或 "}) {
        if (text.substr(i, joint.size()) != joint) continue;
        cut(i, i + joint.size());
        i += joint.size() - 1;
        break;
      }
    }
  }
  cut(text.size(), text.size());
  // "1, 2, and 3" leaves an empty piece between the comma and the word.
  std::erase_if(items, [](std::string_view item) { return item.empty(); });
  return items;
}

// Whether the first and last characters are brackets that belong together.
bool IsBracketed(std::string_view text) {
  if (text.size() < 2) return false;
  const bool set = text.front() == '{' && text.back() == '}';
  const bool tuple =
      (text.front() == '(' || text.front() == '[') && (text.back() == ')' || text.back() == ']');
  if (!set && !tuple) return false;
  int depth = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '(' || text[i] == '[' || text[i] == '{') ++depth;
    if (text[i] == ')' || text[i] == ']' || text[i] == '}') --depth;
    if (depth == 0) return i + 1 == text.size();
  }
  return false;
}

bool ReadNumber(std::string_view text, Answer* answer) {
  std::size_t at = 0;
  const auto number = ScanNumber(text, &at);
  if (!number) return false;
  const auto unit = ReadUnit(text.substr(at));
  if (!unit) return false;
  answer->kind = Answer::Kind::kNumber;
  answer->number = *number;
  answer->unit = *unit;
  return true;
}

Answer Parse(std::string_view text, int depth);

bool ReadItems(std::string_view text, bool words, int depth, Answer* answer) {
  const auto pieces = SplitItems(text, words);
  if (pieces.size() > kMostItems || depth >= kDeepest) return false;
  for (const auto piece : pieces)
    answer->items.push_back(Parse(piece, depth + 1));
  return true;
}

Answer Parse(std::string_view text, int depth) {
  Answer answer;
  text = TakeName(TrimAnswer(text), &answer.name);
  answer.key = TextKey(text);
  if (IsBracketed(text)) {
    const std::string_view inside = text.substr(1, text.size() - 2);
    const bool set = text.front() == '{';
    if (set || SplitItems(inside, false).size() > 1) {
      if (ReadItems(inside, false, depth, &answer)) {
        answer.kind = set ? Answer::Kind::kSet : Answer::Kind::kTuple;
        answer.open = text.front();
        answer.close = text.back();
      }
      return answer;
    }
  }
  if (ReadNumber(text, &answer)) return answer;
  if (SplitItems(text, true).size() > 1 && ReadItems(text, true, depth, &answer)) {
    answer.kind = Answer::Kind::kList;
  }
  return answer;
}

}  // namespace

Answer ParseAnswer(std::string_view normalized) {
  return Parse(normalized, 0);
}

std::optional<char> ChoiceLetter(std::string_view normalized) {
  std::string_view text = TrimAnswer(normalized);
  for (const std::string_view word : {"option ", "Option ", "choice ", "Choice ", "选项", "选"}) {
    if (text.starts_with(word)) text.remove_prefix(word.size());
  }
  text = Trim(text);
  const bool open = text.starts_with('(');
  if (open) text.remove_prefix(1);
  if (text.empty() || !IsLetter(text.front())) return std::nullopt;
  const char letter = static_cast<char>(text.front() & ~32);
  text.remove_prefix(1);
  if (open && !text.starts_with(')')) return std::nullopt;
  const bool bare = text.empty();
  const bool marked = !bare && std::string_view(").:").find(text.front()) != kNone &&
                      (text.size() == 1 || text[1] == ' ');
  return bare || marked ? std::optional<char>(letter) : std::nullopt;
}

bool DividesByZero(std::string_view normalized) {
  const auto slash = normalized.rfind('/');
  if (slash == kNone) return false;
  const auto bottom = ParseNumber(Trim(normalized.substr(slash + 1)));
  return bottom && bottom->numerator.IsZero() && ParseNumber(Trim(normalized.substr(0, slash)));
}

}  // namespace aha::rewards::math
