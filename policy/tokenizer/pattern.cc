#include "policy/tokenizer/pattern.h"

#include <array>
#include <cctype>
#include <utility>

namespace aha::policy {
namespace {

bool IsDigit(char c) {
  return c >= '0' && c <= '9';
}
bool IsHex(char c) {
  return std::isxdigit(static_cast<unsigned char>(c)) != 0;
}
bool IsAlnum(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0;
}

// Lower case without '_', '-' and ' ': how both engines compare property names.
std::string Loose(std::string_view name) {
  std::string loose;
  for (const char c : name) {
    if (c == '_' || c == '-' || c == ' ') continue;
    loose.push_back(static_cast<char>(std::tolower(static_cast<unsigned char>(c))));
  }
  return loose;
}

// Property names that are no scripts, and what PCRE2 calls them.
constexpr std::array<std::pair<std::string_view, std::string_view>, 26> kProperties{{
    {"any", "Any"},
    {"letter", "L"},
    {"uppercaseletter", "Lu"},
    {"lowercaseletter", "Ll"},
    {"titlecaseletter", "Lt"},
    {"modifierletter", "Lm"},
    {"otherletter", "Lo"},
    {"mark", "M"},
    {"nonspacingmark", "Mn"},
    {"number", "N"},
    {"decimalnumber", "Nd"},
    {"letternumber", "Nl"},
    {"othernumber", "No"},
    {"punctuation", "P"},
    {"symbol", "S"},
    {"separator", "Z"},
    {"other", "C"},
    {"control", "Cc"},
    {"alphabetic", "Alphabetic"},
    {"alpha", "Alphabetic"},
    {"whitespace", "White_Space"},
    {"space", "White_Space"},
    {"digit", "Nd"},
    {"upper", "Uppercase"},
    {"lower", "Lowercase"},
    {"emoji", "Emoji"},
}};

class Translator {
 public:
  explicit Translator(std::string_view pattern) : in_(pattern) {}

  Result<std::string> Run() {
    while (at_ < in_.size()) {
      switch (in_[at_]) {
        case '\\':
          AHA_TRY(Escape(false));
          break;
        case '[':
          AHA_TRY(CharacterClass());
          break;
        case '(':
          AHA_TRY(Group());
          break;
        case '{':
          AHA_TRY(Interval());
          break;
        default:
          out_.push_back(in_[at_++]);
      }
    }
    return std::move(out_);
  }

 private:
  [[nodiscard]] tl::unexpected<Error> Refuse(std::string_view what) const {
    return Fail(Code::kInvalidArgument, "regular expression, offset {}: {} is not supported", at_,
                what);
  }
  [[nodiscard]] char Peek(std::size_t ahead) const {
    return at_ + ahead < in_.size() ? in_[at_ + ahead] : '\0';
  }
  void Copy(std::size_t length) {
    out_ += in_.substr(at_, length);
    at_ += length;
  }
  void Replace(std::size_t length, std::string_view by) {
    out_ += by;
    at_ += length;
  }

  Status Escape(bool in_class) {
    const char c = Peek(1);
    switch (c) {
      case 's':
        Replace(2, "\\p{White_Space}");
        return {};
      case 'S':
        Replace(2, "\\P{White_Space}");
        return {};
      case 'd':
        Replace(2, "\\p{Nd}");
        return {};
      case 'D':
        Replace(2, "\\P{Nd}");
        return {};
      case 'w':
        Replace(2, in_class ? "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}"
                            : "[\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}]");
        return {};
      case 'W':
        if (in_class) return Refuse("\\W inside a class");
        Replace(2, "[^\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}]");
        return {};
      case 'p':
      case 'P':
        return Property();
      case 'v':
        Replace(2, "\\x{0B}");
        return {};
      case 'x':
      case 'u':
        return CodePoint();
      case 'r':
      case 'n':
      case 't':
      case 'f':
        Copy(2);
        return {};
      case 'A':
      case 'z':
        if (in_class) return Refuse("an anchor inside a class");
        Copy(2);
        return {};
      case '\0':
        return Refuse("a backslash at the end");
      default:
        if (IsAlnum(c)) return Refuse(fmt::format("\\{}", c));
        Copy(1);
        // A character of several bytes needs no escape, and PCRE2 wants none.
        if (static_cast<unsigned char>(c) >= 0x80) out_.pop_back();
        Copy(1);
        return {};
    }
  }

  Status Property() {
    if (Peek(2) != '{') return Refuse("\\p without braces");
    const std::size_t close = in_.find('}', at_);
    if (close == std::string_view::npos) return Refuse("\\p{ without its }");
    std::string_view name = in_.substr(at_ + 3, close - at_ - 3);
    bool negated = in_[at_ + 1] == 'P';
    if (!name.empty() && name.front() == '^') {
      negated = !negated;
      name.remove_prefix(1);
    }
    const std::string loose = Loose(name);
    if (loose.empty()) return Refuse("an empty \\p{}");
    for (const char c : loose) {
      if (!IsAlnum(c)) return Refuse(fmt::format("\\p{{{}}}", name));
    }
    std::string property = loose.size() <= 2 ? std::string(name) : fmt::format("sc:{}", name);
    for (const auto& [known, ours] : kProperties) {
      if (loose == known) property = ours;
    }
    Replace(close + 1 - at_, fmt::format("\\{}{{{}}}", negated ? 'P' : 'p', property));
    return {};
  }

  // \uHHHH, \x{H...} and \xHH; the last means a raw byte to Oniguruma, so only ASCII agrees.
  Status CodePoint() {
    std::size_t digits = 2;
    std::size_t end = 0;
    if (Peek(1) == 'u') {
      end = at_ + 6;
    } else if (Peek(2) == '{') {
      digits = 3;
      end = at_ + 3;
      while (end < in_.size() && IsHex(in_[end]))
        ++end;
    } else {
      if (Peek(2) > '7') return Refuse("\\x with a byte of 0x80 or above");
      end = at_ + 4;
    }
    const std::string_view hex = in_.substr(at_, end - at_).substr(digits);
    if (end > in_.size() || hex.empty() || hex.size() > 6) return Refuse("this \\x or \\u");
    for (const char c : hex) {
      if (!IsHex(c)) return Refuse("this \\x or \\u");
    }
    if (digits == 3 && (end >= in_.size() || in_[end++] != '}'))
      return Refuse("\\x{ without its }");
    Replace(end - at_, fmt::format("\\x{{{}}}", hex));
    return {};
  }

  Status CharacterClass() {
    Copy(Peek(1) == '^' ? 2 : 1);
    if (Peek(0) == ']') return Refuse("a class that starts with ]");
    while (at_ < in_.size() && in_[at_] != ']') {
      if (in_[at_] == '[') return Refuse("a class inside a class");
      if (in_[at_] == '&' && Peek(1) == '&') return Refuse("&& inside a class");
      if (in_[at_] == '\\') {
        AHA_TRY(Escape(true));
      } else {
        Copy(1);
      }
    }
    if (at_ >= in_.size()) return Refuse("a class without its ]");
    Copy(1);
    return {};
  }

  Status Group() {
    if (Peek(1) == '*') return Refuse("(*");
    if (Peek(1) != '?') {
      Copy(1);
      return {};
    }
    for (const std::string_view opener :
         {"(?:", "(?=", "(?!", "(?>", "(?<=", "(?<!", "(?i:", "(?-i:"}) {
      if (in_.substr(at_).substr(0, opener.size()) == opener) {
        Copy(opener.size());
        return {};
      }
    }
    // Further in, the two engines give (?i) another reach over the alternatives that follow.
    if (at_ == 0 && in_.substr(0, 4) == "(?i)") {
      Copy(4);
      return {};
    }
    return Refuse(fmt::format("the group {}", in_.substr(at_, 4)));
  }

  // {n}, {n,}, {n,m}; any other brace is a plain character.
  Status Interval() {
    std::size_t end = at_ + 1;
    while (end < in_.size() && IsDigit(in_[end]))
      ++end;
    const bool has_low = end > at_ + 1;
    const bool comma = end < in_.size() && in_[end] == ',';
    if (comma) ++end;
    while (end < in_.size() && IsDigit(in_[end]))
      ++end;
    const bool closed = end < in_.size() && in_[end] == '}';
    if (!closed || (!has_low && !comma) || (!has_low && in_[end - 1] == ',')) {
      Replace(1, "\\{");
      return {};
    }
    if (!has_low) return Refuse("{,n}");
    Copy(end + 1 - at_);
    if (Peek(0) == '+') Replace(1, "{1,}");
    if (Peek(0) == '?' && !comma) return Refuse("{n}?");
    return {};
  }

  std::string_view in_;
  std::size_t at_ = 0;
  std::string out_;
};

}  // namespace

Result<std::string> ToPcre2Pattern(std::string_view pattern) {
  return Translator(pattern).Run();
}

}  // namespace aha::policy
