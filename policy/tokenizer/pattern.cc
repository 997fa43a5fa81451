#include "policy/tokenizer/pattern.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdint>
#include <utility>
#include <vector>

#include "policy/tokenizer/utf8.h"

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
bool IsNameByte(char c) {
  return std::isalpha(static_cast<unsigned char>(c)) != 0 || c == '_';
}

// Lower case without '_': how both engines compare property names.
std::string Loose(std::string_view name) {
  std::string loose;
  for (const char c : name) {
    if (c != '_') loose.push_back(static_cast<char>(std::tolower(static_cast<unsigned char>(c))));
  }
  return loose;
}

// General categories by their long names.
constexpr std::array<std::pair<std::string_view, std::string_view>, 18> kLongNames{{
    {"letter", "L"},
    {"uppercaseletter", "Lu"},
    {"lowercaseletter", "Ll"},
    {"titlecaseletter", "Lt"},
    {"modifierletter", "Lm"},
    {"otherletter", "Lo"},
    {"mark", "M"},
    {"nonspacingmark", "Mn"},
    {"spacingmark", "Mc"},
    {"number", "N"},
    {"decimalnumber", "Nd"},
    {"letternumber", "Nl"},
    {"othernumber", "No"},
    {"punctuation", "P"},
    {"symbol", "S"},
    {"separator", "Z"},
    {"other", "C"},
    {"control", "Cc"},
}};

constexpr std::string_view kCategories =
    " L Lu Ll Lt Lm Lo M Mn Mc Me N Nd Nl No P Pc Pd Ps Pe Pi Pf Po S Sm Sc Sk So Z Zs Zl Zp C Cc "
    "Cf Co ";

struct Addition {
  std::uint32_t first, last;
  std::string_view category;
};
constexpr Addition kAdditions[] = {
#include "policy/tokenizer/unicode_additions.inc"
};

// `\p{category}` and the younger characters that PCRE2 does not know yet, as members of a class.
std::string CategoryMembers(std::string_view category) {
  std::string members = fmt::format("\\p{{{}}}", category);
  for (const Addition& addition : kAdditions) {
    if (!addition.category.starts_with(category)) continue;
    members += fmt::format("\\x{{{:X}}}", addition.first);
    if (addition.last != addition.first) members += fmt::format("-\\x{{{:X}}}", addition.last);
  }
  return members;
}

// Oniguruma's \w has six signs of Latin-1 (superscripts, fractions) beside Unicode's definition.
std::string WordMembers() {
  return "\\p{Alphabetic}\\p{Pc}\\x{B2}\\x{B3}\\x{B9}\\x{BC}-\\x{BE}" + CategoryMembers("L") +
         CategoryMembers("M") + CategoryMembers("Nd");
}

// The members of the class that a property's name stands for; empty when there is no such property.
// Names that are neither a general category nor listed go to PCRE2 as scripts, which knows them.
std::string PropertyMembers(std::string_view name) {
  const std::string loose = Loose(name);
  std::string_view category = name;
  for (const auto& [long_name, short_name] : kLongNames) {
    if (loose == long_name) category = short_name;
  }
  if (category.size() <= 2) {
    const bool known = !category.empty() &&
                       kCategories.find(fmt::format(" {} ", category)) != std::string_view::npos;
    return known ? CategoryMembers(category) : std::string();
  }
  if (loose == "whitespace" || loose == "space") return "\\p{White_Space}";
  if (loose == "han") return "\\p{sc:Han}\\x{2B739}\\x{2EBF0}-\\x{2EE5D}\\x{31350}-\\x{323AF}";
  if (!std::all_of(name.begin(), name.end(), IsNameByte)) return {};
  return fmt::format("\\p{{sc:{}}}", name);
}

class Translator {
 public:
  explicit Translator(std::string_view pattern) : in_(pattern) {}

  Result<std::string> Run() {
    while (at_ < in_.size()) {
      const char c = in_[at_];
      const bool quantifies = c == '*' || c == '+' || c == '?' || c == '{';
      if (!quantifies) atom_ = out_.size();
      switch (c) {
        case '\\':
          AHA_TRY(Escape(false));
          break;
        case '[':
          AHA_TRY(CharacterClass());
          break;
        case '(':
          AHA_TRY(Open());
          break;
        case ')':
          AHA_TRY(Close());
          break;
        case '{':
          AHA_TRY(Interval());
          break;
        default:
          Copy(StepUtf8(in_.substr(at_)).length);
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
  Status Copy(std::size_t length) {
    out_ += in_.substr(at_, length);
    at_ += length;
    return {};
  }
  Status Replace(std::size_t length, std::string_view by) {
    out_ += by;
    at_ += length;
    return {};
  }
  // Members of a class: bare inside one, in brackets of their own outside.
  Status ReplaceByMembers(std::size_t length,
                          std::string_view members,
                          bool negated,
                          bool in_class) {
    if (in_class) return Replace(length, members);
    return Replace(length, fmt::format("[{}{}]", negated ? "^" : "", members));
  }

  Status Escape(bool in_class) {
    const char c = Peek(1);
    switch (c) {
      case 's':
        return Replace(2, "\\p{White_Space}");
      case 'S':
        return Replace(2, "\\P{White_Space}");
      case 'd':
        return ReplaceByMembers(2, CategoryMembers("Nd"), false, in_class);
      case 'w':
        return ReplaceByMembers(2, WordMembers(), false, in_class);
      case 'D':
      case 'W':
        if (in_class) return Refuse(fmt::format("\\{} inside a class", c));
        return ReplaceByMembers(2, c == 'D' ? CategoryMembers("Nd") : WordMembers(), true, false);
      case 'p':
      case 'P':
        return Property(in_class);
      case 'v':
        return Replace(2, "\\x{0B}");
      case 'x':
      case 'u':
        return CodePoint();
      case 'r':
      case 'n':
      case 't':
      case 'f':
        return Copy(2);
      case 'A':
      case 'z':
        if (in_class) return Refuse("an anchor inside a class");
        return Copy(2);
      default:
        break;
    }
    if (at_ + 1 >= in_.size()) return Refuse("a backslash at the end");
    if (IsAlnum(c)) return Refuse(fmt::format("\\{}", c));
    if (static_cast<unsigned char>(c) < 0x80) return Copy(2);
    ++at_;  // a character of several bytes stands for itself
    return Copy(StepUtf8(in_.substr(at_)).length);
  }

  Status Property(bool in_class) {
    const std::size_t close = in_.find('}', at_);
    if (Peek(2) != '{' || close == std::string_view::npos) return Refuse("\\p without braces");
    std::string_view name = in_.substr(at_ + 3, close - at_ - 3);
    bool negated = in_[at_ + 1] == 'P';
    if (name.starts_with('^')) {
      negated = !negated;
      name.remove_prefix(1);
    }
    std::string members = PropertyMembers(name);
    if (members.empty()) return Refuse(fmt::format("\\p{{{}}}", name));
    if (in_class && negated) {
      // What is in a class cannot be taken out again: the younger characters count as not in
      // the category here.
      members = "\\P" + members.substr(2, members.find('}') - 1);
    }
    return ReplaceByMembers(close + 1 - at_, members, negated, in_class);
  }

  // \uHHHH, \x{H...} and \xHH; the last means a raw byte to Oniguruma, so only ASCII agrees.
  Status CodePoint() {
    const bool braces = Peek(1) == 'x' && Peek(2) == '{';
    const std::size_t begin = at_ + (braces ? 3 : 2);
    std::size_t end = begin;
    const std::size_t most = Peek(1) == 'u' ? 4 : braces ? 6 : 2;
    while (end < in_.size() && end - begin < most && IsHex(in_[end]))
      ++end;
    const std::string_view hex = in_.substr(begin, end - begin);
    const bool whole =
        braces ? !hex.empty() && end < in_.size() && in_[end] == '}' : hex.size() == most;
    if (!whole) return Refuse("this \\x or \\u");
    if (most == 2 && hex[0] > '7') return Refuse("\\x with a byte of 0x80 or above");
    return Replace(end + (braces ? 1 : 0) - at_, fmt::format("\\x{{{}}}", hex));
  }

  Status CharacterClass() {
    AHA_TRY(Copy(Peek(1) == '^' ? 2 : 1));
    if (Peek(0) == ']') return Refuse("a class that starts with ]");
    while (at_ < in_.size() && in_[at_] != ']') {
      if (in_[at_] == '[') return Refuse("a class inside a class");
      if (in_[at_] == '&' && Peek(1) == '&') return Refuse("&& inside a class");
      AHA_TRY(in_[at_] == '\\' ? Escape(true) : Copy(1));
    }
    if (at_ >= in_.size()) return Refuse("a class without its ]");
    return Copy(1);
  }

  Status Open() {
    groups_.push_back(out_.size());
    if (Peek(1) == '*') return Refuse("(*");
    if (Peek(1) != '?') return Copy(1);
    for (const std::string_view opener :
         {"(?:", "(?=", "(?!", "(?>", "(?<=", "(?<!", "(?i:", "(?-i:"}) {
      if (in_.substr(at_).starts_with(opener)) return Copy(opener.size());
    }
    // Further in, the two engines give (?i) another reach over the alternatives that follow.
    if (at_ == 0 && in_.starts_with("(?i)")) {
      groups_.pop_back();
      return Copy(4);
    }
    return Refuse("this kind of group");
  }

  Status Close() {
    if (groups_.empty()) return Refuse("a ) without its (");
    atom_ = groups_.back();
    groups_.pop_back();
    return Copy(1);
  }

  // {n}, {n,}, {n,m}; any other brace is a plain character.
  Status Interval() {
    std::size_t end = at_ + 1;
    while (end < in_.size() && IsDigit(in_[end]))
      ++end;
    const bool has_low = end > at_ + 1;
    const bool comma = end < in_.size() && in_[end] == ',';
    const std::size_t high = end + 1;
    if (comma) ++end;
    while (comma && end < in_.size() && IsDigit(in_[end]))
      ++end;
    const bool has_high = comma && end > high;
    if (end >= in_.size() || in_[end] != '}' || (!has_low && !has_high)) {
      atom_ = out_.size();
      return Replace(1, "\\{");
    }
    if (!has_low) return Refuse("{,n}");
    AHA_TRY(Copy(end + 1 - at_));
    if (Peek(0) == '?' && !comma) return Refuse("{n}?");
    if (Peek(0) == '+') {  // possessive to PCRE2, a repetition of the repetition to Oniguruma
      out_.insert(atom_, "(?:");
      return Replace(1, ")+");
    }
    return {};
  }

  std::string_view in_;
  std::size_t at_ = 0;
  std::string out_;
  std::size_t atom_ = 0;  // where in out_ the last thing starts that a quantifier can repeat
  std::vector<std::size_t> groups_;  // where in out_ the open groups start
};

}  // namespace

Result<std::string> ToPcre2Pattern(std::string_view pattern) {
  return Translator(pattern).Run();
}

}  // namespace aha::policy
