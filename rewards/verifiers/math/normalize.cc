#include "rewards/verifiers/math/normalize.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <utility>
#include <vector>

#include <unicode/uchar.h>

#include "rewards/text.h"

namespace aha::rewards::math {
namespace {

using Text = std::u32string_view;
constexpr int kDeepest = 64;

bool IsLetterAscii(CodePoint c) {
  return c < 0x80 && (c | 32) >= 'a' && (c | 32) <= 'z';
}

bool IsDigitAscii(CodePoint c) {
  return c >= '0' && c <= '9';
}

// NFKC alone would turn 10 to the 6th, written with a raised digit, into 106, and two and a half,
// written with one sign, into 21/2: such signs are spelled out first.
std::u32string SpellOut(std::u32string text) {
  std::u32string out;
  out.reserve(text.size());
  CodePoint before = 0;
  bool raised = false;
  for (const CodePoint c : text) {
    const int type = c < 0x80 || c > 0x10FFFF
                         ? U_DT_NONE
                         : u_getIntPropertyValue(static_cast<UChar32>(c), UCHAR_DECOMPOSITION_TYPE);
    if (c == 0x211D || c == 0x2124 || c == 0x2115 || c == 0x211A || c == 0x2102) {
      // The sets of numbers would become letters.
      constexpr std::pair<CodePoint, char> kSets[] = {
          {0x211D, 'R'}, {0x2124, 'Z'}, {0x2115, 'N'}, {0x211A, 'Q'}, {0x2102, 'C'}};
      out += U"\\mathbb{";
      for (const auto& [set, letter] : kSets) {
        if (set == c) out.push_back(static_cast<CodePoint>(letter));
      }
      out.push_back('}');
      continue;
    }
    // ①③ are two of them, not 13.
    const auto circled = [](CodePoint p) { return p >= 0x2460 && p <= 0x2473; };
    if (circled(c) && circled(before)) out += U", ";
    const bool sup = type == U_DT_SUPER && c != 0x2122 && c != 0x2120;  // not the trade marks
    if (sup && !raised) out.push_back('^');
    if (sup != raised) out.push_back(sup ? '{' : '}');
    raised = sup;
    if (type == U_DT_FRACTION && IsDigitAscii(before)) out.push_back(' ');
    out.push_back(c);
    before = c;
  }
  if (raised) out.push_back('}');
  return out;
}

struct Spelling {
  Text command;
  Text plain;
};
// Of commands without arguments. What is empty vanishes.
constexpr Spelling kSpellings[] = {{U"left", U""},
                                   {U"right", U""},
                                   {U"big", U""},
                                   {U"Big", U""},
                                   {U"bigl", U""},
                                   {U"bigr", U""},
                                   {U"Bigl", U""},
                                   {U"Bigr", U""},
                                   {U"displaystyle", U""},
                                   {U"limits", U""},
                                   {U"quad", U" "},
                                   {U"qquad", U" "},
                                   {U"cdot", U"*"},
                                   {U"times", U"*"},
                                   {U"div", U"/"},
                                   {U"circ", U"\u00B0"},
                                   {U"degree", U"\u00B0"},
                                   {U"degrees", U"\u00B0"},
                                   {U"infty", U"\u221E"},
                                   {U"le", U"\u2264"},
                                   {U"leq", U"\u2264"},
                                   {U"leqslant", U"\u2264"},
                                   {U"ge", U"\u2265"},
                                   {U"geq", U"\u2265"},
                                   {U"geqslant", U"\u2265"},
                                   {U"ne", U"\u2260"},
                                   {U"neq", U"\u2260"},
                                   {U"cup", U"\u222A"},
                                   {U"cap", U"\u2229"},
                                   {U"pm", U"\u00B1"},
                                   {U"lbrace", U"{"},
                                   {U"rbrace", U"}"},
                                   {U"pi", U"\u03C0"},
                                   {U"lt", U"<"},
                                   {U"gt", U">"}};
// Words: set apart by a space, so that 5\text{cm} is "5 cm".
constexpr Text kWords[] = {U"text",   U"textbf", U"textit", U"textrm",       U"mathrm", U"mathbf",
                           U"mathit", U"mathsf", U"mbox",   U"operatorname", U"hbox",   U"rm"};
constexpr Text kTransparent[] = {U"boxed", U"fbox", U"ensuremath", U"mathbb", U"mathcal"};

std::u32string InParentheses(Text text) {
  std::u32string out;
  out.push_back('(');
  out += text;
  out.push_back(')');
  return out;
}

template <class Range>
bool Contains(const Range& range, Text what) {
  for (const Text item : range) {
    if (item == what) return true;
  }
  return false;
}

class Converter {
 public:
  explicit Converter(Text text) : text_(text), partner_(text.size()) { Pair(); }

  std::u32string Run() { return Convert(0, text_.size(), 0); }
  [[nodiscard]] bool sound() const { return sound_; }

 private:
  void Pair() {
    std::vector<std::size_t> open;
    for (std::size_t i = 0; i < text_.size(); ++i) {
      if (text_[i] == '\\') {
        ++i;
      } else if (text_[i] == '{') {
        open.push_back(i);
      } else if (text_[i] == '}') {
        if (open.empty()) {
          sound_ = false;
        } else {
          partner_[open.back()] = static_cast<std::uint32_t>(i);
          open.pop_back();
        }
      }
    }
    if (!open.empty()) sound_ = false;
  }

  std::u32string Convert(std::size_t begin, std::size_t end, int depth) {
    std::u32string out;
    if (depth > kDeepest) {
      sound_ = false;
      return out;
    }
    for (std::size_t i = begin; i < end;)
      Step(&i, end, depth, &out);
    return out;
  }

  void Step(std::size_t* at, std::size_t end, int depth, std::u32string* out) {
    const CodePoint c = text_[*at];
    if (c == '\\') return Backslash(at, end, depth, out);
    if (c == '^' || c == '_') return Script(at, end, depth, out);
    if (c == '{') {
      *out += Argument(at, end, depth);
      return;
    }
    ++*at;
    if (c == '}' || c == '$' || c == 0x20AC || c == 0xA3 || c == 0xA5) return;
    if (IsWhiteSpace(c) || c == '~') return Blank(out);
    out->push_back(Plain(c));
  }

  static void Blank(std::u32string* out) {
    if (!out->empty() && out->back() != ' ') out->push_back(' ');
  }

  static CodePoint Plain(CodePoint c) {
    switch (c) {
      case 0x2212:  // minus
      case 0x2010:
      case 0x2011:
      case 0x2012:
      case 0x2013:
      case 0x2014:
      case 0xFE63:
        return '-';
      case 0xD7:
      case 0xB7:
      case 0x22C5:
      case 0x2219:
        return '*';
      case 0xF7:
      case 0x2044:
      case 0x2215:
        return '/';
      case 0x2218:
      case 0xBA:
        return 0xB0;
      case 0x3001:  // the Chinese list comma
        return ',';
      default:
        return c;
    }
  }

  // A group, a command or one character, as TeX reads an argument.
  std::u32string Argument(std::size_t* at, std::size_t end, int depth) {
    while (*at < end && text_[*at] == ' ')
      ++*at;
    if (*at >= end) return {};
    if (text_[*at] == '{') {
      const std::size_t close = partner_[*at];
      const std::size_t start = *at + 1;
      if (close == 0 || close >= end) {
        *at = start;
        return {};
      }
      *at = close + 1;
      return Convert(start, close, depth + 1);
    }
    std::u32string out;
    if (text_[*at] == '\\') {
      if (depth > kDeepest) {
        sound_ = false;
        *at = end;
      } else {
        Backslash(at, end, depth + 1, &out);
      }
      return out;
    }
    out.push_back(Plain(text_[(*at)++]));
    return out;
  }

  void Script(std::size_t* at, std::size_t end, int depth, std::u32string* out) {
    const CodePoint c = text_[(*at)++];
    const std::u32string argument = Argument(at, end, depth);
    if (c == '^' && argument == U"\u00B0") {
      *out += argument;
      return;
    }
    if (argument.empty()) return;
    out->push_back(c);
    *out += argument.size() == 1 ? argument : InParentheses(argument);
  }

  static std::u32string Part(std::u32string part) {
    const std::u32string trimmed(TrimBlanks(part));
    for (const CodePoint c : trimmed) {
      if (!IsLetterAscii(c) && !IsDigitAscii(c) && c != '.') return InParentheses(trimmed);
    }
    return trimmed;
  }

  void Backslash(std::size_t* at, std::size_t end, int depth, std::u32string* out) {
    const std::size_t start = ++*at;
    if (start >= end) return;
    if (!IsLetterAscii(text_[start])) {
      ++*at;
      const CodePoint c = text_[start];
      if (c == '{' || c == '}' || c == '%' || c == '#' || c == '&' || c == '_') out->push_back(c);
      if (c == ' ' || c == ';' || c == ':' || c == '\\') Blank(out);
      return;
    }
    while (*at < end && IsLetterAscii(text_[*at]))
      ++*at;
    Command(text_.substr(start, *at - start), at, end, depth, out);
  }

  void Command(Text name, std::size_t* at, std::size_t end, int depth, std::u32string* out) {
    if (name == U"frac" || name == U"dfrac" || name == U"tfrac" || name == U"cfrac") {
      const std::u32string top = Part(Argument(at, end, depth));
      const std::u32string bottom = Part(Argument(at, end, depth));
      if (!out->empty() && IsDigitAscii(out->back())) out->push_back(' ');
      *out += top;
      out->push_back('/');
      *out += bottom;
    } else if (name == U"sqrt") {
      Root(at, end, depth, out);
    } else if (Contains(kWords, name)) {
      Blank(out);
      *out += Argument(at, end, depth);
    } else if (Contains(kTransparent, name)) {
      *out += Argument(at, end, depth);
    } else {
      for (const auto& [command, plain] : kSpellings) {
        if (command == name) {
          *out += plain;
          return;
        }
      }
      *out += name;
    }
  }

  void Root(std::size_t* at, std::size_t end, int depth, std::u32string* out) {
    std::u32string degree;
    if (*at < end && text_[*at] == '[') {
      const std::size_t close = text_.substr(0, std::min(end, *at + 64)).find(']', *at);
      if (close != Text::npos) {
        degree.append(text_.substr(*at + 1, close - *at - 1));
        *at = close + 1;
      }
    }
    *out += degree.empty() ? U"sqrt(" : U"root(";
    if (!degree.empty()) *out += degree.append(1, ',');
    *out += Argument(at, end, depth);
    out->push_back(')');
  }

  Text text_;
  std::vector<std::uint32_t> partner_;
  bool sound_ = true;
};

}  // namespace

std::u32string Flatten(std::string_view text) {
  std::u32string plain = DecodeUtf8(text);
  const bool ascii = std::all_of(plain.begin(), plain.end(), [](CodePoint c) { return c < 0x80; });
  return ascii ? plain : ToNfkc(SpellOut(std::move(plain)));
}

Normalized Normalize(std::string_view text) {
  const std::u32string plain = Flatten(text);
  Converter converter(plain);
  const std::u32string line = converter.Run();
  return {.text = EncodeUtf8(TrimBlanks(line)), .sound = converter.sound()};
}

std::string_view TrimAnswer(std::string_view text) {
  constexpr std::string_view kOff = " \t\r\n*`\"';:,?";
  constexpr std::array<std::string_view, 5> kWide = {"\u3002", "\u201C", "\u201D", "\u2018",
                                                     "\u2019"};
  for (bool again = true; again && !text.empty();) {
    again = false;
    if (kOff.find(text.front()) != std::string_view::npos) {
      text.remove_prefix(1);
      again = true;
    } else if (kOff.find(text.back()) != std::string_view::npos || text.back() == '.') {
      text.remove_suffix(1);
      again = true;
    }
    for (const auto mark : kWide) {
      if (text.starts_with(mark)) {
        text.remove_prefix(mark.size());
        again = true;
      }
      if (text.ends_with(mark)) {
        text.remove_suffix(mark.size());
        again = true;
      }
    }
  }
  return text;
}

std::string TextKey(std::string_view normalized) {
  std::string out;
  out.reserve(normalized.size());
  for (std::size_t at = 0; at < normalized.size();) {
    const CodePoint c = DecodeNext(normalized, &at).point;
    if (!IsWhiteSpace(c)) AppendUtf8(FoldLatin(c), &out);
  }
  return out;
}

}  // namespace aha::rewards::math
