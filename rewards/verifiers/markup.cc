#include "rewards/verifiers/markup.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <vector>

#include "rewards/text.h"

namespace aha::rewards {
namespace {

using Text = std::u32string_view;
constexpr std::size_t kNone = Text::npos;

// The first position at or after another where `matches` holds. Asked with rising positions only,
// each is looked at once, however many openings find nothing: this keeps the whole scan linear.
class Finder {
 public:
  Finder(std::size_t size, std::function<bool(std::size_t)> matches)
      : size_(size), matches_(std::move(matches)) {}
  std::size_t From(std::size_t position) {
    at_ = std::max(at_, position);
    while (at_ < size_ && !matches_(at_))
      ++at_;
    return at_ < size_ ? at_ : kNone;
  }

 private:
  std::size_t size_;
  std::function<bool(std::size_t)> matches_;
  std::size_t at_ = 0;
};

bool IsAsciiLetter(CodePoint c) {
  return (c | 32) >= 'a' && (c | 32) <= 'z' && c < 0x80;
}
bool IsAsciiDigit(CodePoint c) {
  return c >= '0' && c <= '9';
}

bool IsUrlCharacter(CodePoint c) {
  return IsAsciiLetter(c) || IsAsciiDigit(c) ||
         (c < 0x80 && Text(U"-._~:/?#[]@!$&'()*+,;=%").find(c) != kNone);
}

constexpr std::array<Text, 22> kMathEnvironments = {
    U"equation", U"align",       U"alignat",     U"aligned", U"gather",  U"gathered",
    U"multline", U"eqnarray",    U"matrix",      U"pmatrix", U"bmatrix", U"Bmatrix",
    U"vmatrix",  U"Vmatrix",     U"smallmatrix", U"cases",   U"array",   U"split",
    U"math",     U"displaymath", U"flalign",     U"subarray"};

class Scanner {
 public:
  explicit Scanner(Text text)
      : text_(text),
        line_end_(text.size(), [this](std::size_t i) { return text_[i] == '\n'; }),
        empty_line_(text.size(), [this](std::size_t i) { return IsEmptyLine(i); }),
        one_tick_(text.size(), [this](std::size_t i) { return RunAt(i, '`') == 1; }),
        two_ticks_(text.size(), [this](std::size_t i) { return RunAt(i, '`') == 2; }),
        dollar_(text.size(), [this](std::size_t i) { return ClosesDollar(i); }),
        two_dollars_(text.size(), [this](std::size_t i) { return At(i, U"$$"); }),
        bracket_(text.size(), [this](std::size_t i) { return At(i, U"\\]"); }),
        paren_(text.size(), [this](std::size_t i) { return At(i, U"\\)"); }) {}

  std::u32string Run() {
    std::u32string out;
    out.reserve(text_.size());
    for (std::size_t i = 0; i < text_.size();) {
      if (const std::size_t end = PieceEnd(i); end > i) {
        out.push_back(' ');
        i = end;
      } else {
        out.push_back(text_[i++]);
      }
    }
    return out;
  }

 private:
  [[nodiscard]] bool At(std::size_t i, Text what) const {
    return text_.substr(i, what.size()) == what;
  }
  [[nodiscard]] CodePoint Get(std::size_t i) const { return i < text_.size() ? text_[i] : 0; }

  // Length of the run of `c` that begins at i; 0 when i is no beginning of a run.
  [[nodiscard]] std::size_t RunAt(std::size_t i, CodePoint c) const {
    if (text_[i] != c || (i > 0 && text_[i - 1] == c)) return 0;
    std::size_t end = i;
    while (Get(end) == c)
      ++end;
    return end - i;
  }

  // A line break that only blanks and another line break follow. Looks at most 64 blanks ahead.
  [[nodiscard]] bool IsEmptyLine(std::size_t i) const {
    if (text_[i] != '\n') return false;
    const std::size_t last = std::min(text_.size(), i + 64);
    for (std::size_t j = i + 1; j < last; ++j) {
      if (text_[j] == '\n') return true;
      if (text_[j] != ' ' && text_[j] != '\t' && text_[j] != '\r') return false;
    }
    return false;
  }

  [[nodiscard]] bool ClosesDollar(std::size_t i) const {
    if (text_[i] != '$' || i == 0 || IsWhiteSpace(text_[i - 1])) return false;
    return text_[i - 1] != '\\' && text_[i - 1] != '$' && Get(i + 1) != '$' &&
           !IsAsciiDigit(Get(i + 1));
  }

  // The end of the piece that is no prose and begins at i, or i.
  std::size_t PieceEnd(std::size_t i) {
    switch (text_[i]) {
      case '<':
        return TagEnd(i);
      case '`':
      case '~':
        return CodeEnd(i);
      case '$':
        return DollarEnd(i);
      case '\\':
        return BackslashEnd(i);
      default:
        return IsAsciiLetter(text_[i]) ? UrlEnd(i) : i;
    }
  }

  [[nodiscard]] std::size_t TagEnd(std::size_t i) const {
    for (const Text tag :
         {Text(U"<think>"), Text(U"</think>"), Text(U"<answer>"), Text(U"</answer>")}) {
      if (At(i, tag)) return i + tag.size();
    }
    return i;
  }

  std::size_t CodeEnd(std::size_t i) {
    const CodePoint c = text_[i];
    const std::size_t run = RunAt(i, c);
    if (run == 0) return i;
    if (run >= 3 && (c == '`' || BeginsLine(i))) return FenceEnd(i + run, c, run);
    if (c == '~' || run >= 3) return i;
    const std::size_t close = (run == 1 ? one_tick_ : two_ticks_).From(i + run);
    return close < line_end_.From(i) ? close + run : i;
  }

  [[nodiscard]] bool BeginsLine(std::size_t i) const {
    for (std::size_t back = 0; back < 8 && i > 0 && text_[i - 1] == ' '; ++back)
      --i;
    return i == 0 || text_[i - 1] == '\n';
  }

  [[nodiscard]] std::size_t FenceEnd(std::size_t from, CodePoint c, std::size_t run) const {
    for (std::size_t i = from; i < text_.size();) {
      std::size_t end = i;
      while (Get(end) == c)
        ++end;
      if (end - i >= run) return end;
      i = std::max(end, i + 1);
    }
    return text_.size();
  }

  // `close` ends mathematics that begins at i, if no empty line lies between.
  std::size_t MathEnd(std::size_t i, std::size_t close, std::size_t length) {
    return close != kNone && close < empty_line_.From(i) ? close + length : i;
  }

  std::size_t DollarEnd(std::size_t i) {
    if (i > 0 && text_[i - 1] == '\\') return i;
    if (At(i, U"$$")) return MathEnd(i, two_dollars_.From(i + 2), 2);
    if (IsWhiteSpace(Get(i + 1))) return i;
    return MathEnd(i, dollar_.From(i + 2), 1);
  }

  std::size_t BackslashEnd(std::size_t i) {
    if (At(i, U"\\[")) return MathEnd(i, bracket_.From(i + 2), 2);
    if (At(i, U"\\(")) return MathEnd(i, paren_.From(i + 2), 2);
    if (At(i, U"\\begin{")) {
      if (const std::size_t end = EnvironmentEnd(i + 7); end != kNone) return end;
    }
    if (!IsAsciiLetter(Get(i + 1))) return i;
    std::size_t end = i + 1;
    while (IsAsciiLetter(Get(end)))
      ++end;
    if (Get(end) == '*') ++end;
    return ArgumentsEnd(end);
  }

  std::size_t EnvironmentEnd(std::size_t name) {
    for (const Text known : kMathEnvironments) {
      if (!At(name, known)) continue;
      const bool star = Get(name + known.size()) == '*';
      if (Get(name + known.size() + (star ? 1 : 0)) != '}') continue;
      const std::u32string closing =
          std::u32string(U"\\end{") + std::u32string(known) + (star ? U"*}" : U"}");
      auto found = environments_.find(closing);
      if (found == environments_.end()) {
        found = environments_
                    .emplace(closing, Finder(text_.size(),
                                             [this, closing](std::size_t i) {
                                               return text_[i] == '\\' && At(i, closing);
                                             }))
                    .first;
      }
      const std::size_t close = found->second.From(name);
      return close == kNone ? kNone : close + closing.size();
    }
    return kNone;
  }

  std::size_t ArgumentsEnd(std::size_t end) {
    while (Get(end) == '{' || Get(end) == '[') {
      const std::size_t close = Partner(end);
      if (close == 0) break;
      end = close + 1;
    }
    return end;
  }

  // Where the brace or bracket at i closes; 0 when nowhere. All pairs are found in one pass.
  std::size_t Partner(std::size_t i) {
    if (partners_.empty()) {
      partners_.resize(text_.size());
      std::vector<std::size_t> open;
      for (std::size_t j = 0; j < text_.size(); ++j) {
        const CodePoint c = text_[j];
        if (c == '\\') {
          ++j;
        } else if (c == '{' || c == '[') {
          open.push_back(j);
        } else if (c == '}' || c == ']') {
          // A bracket that a brace cuts short stays without a partner: "[0, 1) {x}".
          while (!open.empty() && c == '}' && text_[open.back()] != '{')
            open.pop_back();
          if (open.empty() || text_[open.back()] != (c == '}' ? '{' : '[')) continue;
          partners_[open.back()] = static_cast<std::uint32_t>(j);
          open.pop_back();
        }
      }
    }
    return partners_[i];
  }

  [[nodiscard]] std::size_t UrlEnd(std::size_t i) const {
    if (i > 0 && (IsAsciiLetter(text_[i - 1]) || IsAsciiDigit(text_[i - 1]))) return i;
    std::size_t start = kNone;
    if (AtAnyCase(i, U"www.")) {
      start = i + 4;
    } else if (AtAnyCase(i, U"mailto:")) {
      start = i + 7;
    } else {
      std::size_t j = i;
      while (j < i + 24 && (IsAsciiLetter(Get(j)) || IsAsciiDigit(Get(j)) || Get(j) == '+'))
        ++j;
      if (At(std::min(j, text_.size()), U"://")) start = j + 3;
    }
    if (start == kNone || !IsUrlCharacter(Get(start))) return i;
    while (IsUrlCharacter(Get(start)))
      ++start;
    return start;
  }

  // `what` is in lower case.
  [[nodiscard]] bool AtAnyCase(std::size_t i, Text what) const {
    for (std::size_t j = 0; j < what.size(); ++j) {
      const CodePoint c = Get(i + j);
      if ((IsAsciiLetter(c) ? (c | 32) : c) != what[j]) return false;
    }
    return true;
  }

  Text text_;
  Finder line_end_, empty_line_, one_tick_, two_ticks_, dollar_, two_dollars_, bracket_, paren_;
  std::map<std::u32string, Finder, std::less<>> environments_;
  std::vector<std::uint32_t> partners_;
};

}  // namespace

std::u32string Prose(std::u32string_view text) {
  return Scanner(text).Run();
}

}  // namespace aha::rewards
