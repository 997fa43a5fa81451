#include "rewards/verifiers/math/lexer.h"

#include <algorithm>
#include <utility>

#include "rewards/text.h"
#include "rewards/verifiers/math/numerals.h"
#include "rewards/verifiers/math/vocabulary.h"

namespace aha::rewards::math {
namespace {

using Kind = Token::Kind;
using Text = std::u32string_view;
constexpr int kDeepest = 64;

bool IsAsciiLetter(char32_t c) {
  return c < 0x80 && (c | 32) >= 'a' && (c | 32) <= 'z';
}
bool IsDigit(char32_t c) {
  return c >= '0' && c <= '9';
}

// One sign for each meaning; 0: the character is none.
char32_t SignOf(char32_t c) {
  switch (c) {
    case U'−':
    case U'‐':
    case U'‑':
    case U'‒':
    case U'–':
    case U'—':
    case U'﹣':
      return U'-';
    case U'×':
    case U'·':
    case U'⋅':
    case U'∙':
    case U'•':
    case U'∗':
      return U'*';
    case U'⁄':
    case U'∕':
      return U'/';
    case U'∘':
    case U'º':
    case U'˚':
      return U'°';
    case U'⩽':
    case U'≦':
      return U'≤';
    case U'⩾':
    case U'≧':
      return U'≥';
    case U'、':
    case U'；':
      return c == U'、' ? U',' : U';';
    case 0x3008:
      return U'⟨';
    case 0x3009:
      return U'⟩';
    case U'∣':
      return U'|';
    case U'′':
    case U'’':
      return U'\'';
    case U'\\':
      return U'∖';
    case U'≒':
    case U'≃':
      return U'≈';
    default:
      break;
  }
  constexpr Text kSigns = U".+-*/^_=<>≤≥≠±∓!|‖()[]{},;:%°√∛∞∪∩∖∅∈∉&'⌊⌋⌈⌉⟨⟩≈≡⇒⇔→∧∨…÷€£¥₹≅⊥∥";
  return kSigns.find(c) == Text::npos ? 0 : c;
}

class Lexer {
 public:
  Lexer(Text text, bool join_groups) : text_(text), join_groups_(join_groups) {}

  Tokens Run() {
    while (at_ < text_.size() && !out_.too_large)
      Step();
    if (!groups_.empty()) out_.sound = false;
    Push({});
    return std::move(out_);
  }

 private:
  struct Group {
    bool upright = false;  // before it began
    bool visible = true;   // its braces are tokens
  };

  [[nodiscard]] char32_t Get(std::size_t i) const { return i < text_.size() ? text_[i] : 0; }

  void Push(Token token) {
    if (out_.list.size() > kMostTokens) {
      out_.too_large = true;
      return;
    }
    token.space = std::exchange(space_, false);
    out_.list.push_back(std::move(token));
  }
  void PushSign(char32_t sign) {
    Token token;
    token.kind = Kind::kSign;
    token.sign = sign;
    Push(std::move(token));
  }
  void PushWord(std::string word, bool upright) {
    Token token;
    token.kind = Kind::kWord;
    token.text = std::move(word);
    token.upright = upright;
    Push(std::move(token));
  }
  void PushCommand(std::string name) {
    Token token;
    token.kind = Kind::kCommand;
    token.text = std::move(name);
    Push(std::move(token));
  }

  void Step() {
    const char32_t c = text_[at_];
    if (c == '\\') return Backslash();
    if (c == '{') return Open();
    if (c == '}') return Close();
    if (IsDigit(c) ||
        (c == '.' && IsDigit(Get(at_ + 1)) && !IsDigit(at_ > 0 ? text_[at_ - 1] : 0))) {
      return Number();
    }
    if (IsAsciiLetter(c)) return Letters();
    if (IsWhiteSpace(c) || c == '~' || c == '$') {
      ++at_;
      space_ = space_ || c != '$';
      return;
    }
    if (const char32_t sign = SignOf(c); sign != 0) {
      ++at_;
      // Python's 2**3.
      if (c == '*' && Get(at_) == '*' && !out_.list.empty()) {
        ++at_;
        return PushSign(U'^');
      }
      return PushSign(sign);
    }
    if (IsHan(c)) return Han();
    if (IsLetter(c)) return OtherLetter();
    ++at_;
    if (c == '"' || c == 0x201C || c == 0x201D || c == 0x3002 || c == '`' || c == 0x200B ||
        c == 0xFEFF) {
      space_ = true;
      return;
    }
    PushSign(c == 0 ? kReplacement : c);
  }

  void Open() {
    ++at_;
    const bool upright = std::exchange(upright_next_, false);
    const bool hidden = std::exchange(hide_next_, false);
    // 1{,}234
    if (Get(at_) == ',' && Get(at_ + 1) == '}') {
      PushSign(U',');
      at_ += 2;
      return;
    }
    if (static_cast<int>(groups_.size()) >= kDeepest) {
      out_.sound = false;
      return;
    }
    groups_.push_back({upright_, !hidden});
    upright_ = upright_ || upright;
    if (!hidden) PushSign(kGroupOpen);
  }

  void Close() {
    ++at_;
    if (groups_.empty()) {
      out_.sound = false;
      return;
    }
    upright_ = groups_.back().upright;
    const bool visible = groups_.back().visible;
    groups_.pop_back();
    if (visible) {
      PushSign(kGroupClose);
    } else {
      space_ = true;
    }
  }

  void Letters() {
    const std::size_t start = at_;
    while (IsAsciiLetter(Get(at_)))
      ++at_;
    if (upright_ && Get(at_) == '\'' && IsAsciiLetter(Get(at_ + 1))) {
      ++at_;
      while (IsAsciiLetter(Get(at_)))
        ++at_;
    }
    PushWord(EncodeUtf8(text_.substr(start, at_ - start)), upright_);
  }

  // π and the other letters beyond ASCII are words of one letter.
  void OtherLetter() {
    constexpr std::pair<char32_t, const char*> kGreek[] = {
        {U'π', "pi"},      {U'α', "alpha"},  {U'β', "beta"},  {U'γ', "gamma"}, {U'δ', "delta"},
        {U'θ', "theta"},   {U'λ', "lambda"}, {U'μ', "mu"},    {U'ρ', "rho"},   {U'σ', "sigma"},
        {U'τ', "tau"},     {U'φ', "phi"},    {U'ω', "omega"}, {U'Δ', "Delta"}, {U'Ω', "Omega"},
        {U'ε', "epsilon"}, {U'Σ', "Sigma"},  {U'Π', "Pi"},    {U'Φ', "Phi"},   {U'Γ', "Gamma"}};
    const char32_t c = text_[at_++];
    for (const auto& [letter, name] : kGreek) {
      if (letter == c) return PushWord(name, false);
    }
    std::string word;
    AppendUtf8(c, &word);
    while (at_ < text_.size() && text_[at_] >= 0x80 && IsLetter(text_[at_]) && !IsHan(text_[at_])) {
      AppendUtf8(text_[at_++], &word);
    }
    PushWord(std::move(word), true);
  }

  void Han() {
    if (const auto numeral = ReadHanNumeral(text_.substr(at_))) {
      // 一共 is a word; a numeral ends where no other letter goes on, or where a counter may.
      at_ += numeral->length;
      return HanNumber(*numeral);
    }
    std::string word;
    while (at_ < text_.size() && (IsHan(text_[at_]) || IsKana(text_[at_]))) {
      AppendUtf8(text_[at_++], &word);
      if (at_ < text_.size() && word.size() > 3 && ReadHanNumeral(text_.substr(at_))) break;
    }
    if (word.empty()) ++at_;
    PushWord(std::move(word), true);
  }

  void HanNumber(const HanNumeral& numeral) {
    if (numeral.negative) PushSign(U'-');
    const auto number = [this](const std::string& digits) {
      Token token;
      token.kind = Kind::kNumber;
      token.text = digits;
      Push(std::move(token));
    };
    if (!numeral.bottom.empty()) {
      PushCommand("frac");
      number(numeral.top);
      out_.list.back().upright = true;  // a whole argument, not the first digit of one
      number(numeral.bottom);
      out_.list.back().upright = true;
    } else {
      number(numeral.top);
    }
    if (numeral.percent) PushSign(U'%');
  }

  // What may stand between groups of three digits; its length, 0: nothing.
  [[nodiscard]] std::size_t Separator(std::size_t i) const {
    const Text rest = text_.substr(std::min(i, text_.size()));
    for (const Text joint : {Text(U" {, }"), Text(U"{, }"), Text(U"{,}"), Text(U"\\,"),
                             Text(U"\\!"), Text(U",\\!"), Text(U"{,\\!}")}) {
      if (!rest.starts_with(joint)) continue;
      std::size_t length = joint.size();
      while (length > 1 && Get(i + length) == ' ')
        ++length;
      return length;
    }
    if (join_groups_ && rest.starts_with(U',')) return 1;
    // 1 000, but not the mixed number 1 100/3.
    std::size_t end = i + 1;
    while (IsDigit(Get(end)))
      ++end;
    while (Get(end) == ' ')
      ++end;
    return rest.starts_with(U' ') && GroupAt(i + 1) && Get(end) != '/' && !upright_ ? 1 : 0;
  }

  bool GroupAt(std::size_t i) const {
    return IsDigit(Get(i)) && IsDigit(Get(i + 1)) && IsDigit(Get(i + 2)) && !IsDigit(Get(i + 3));
  }

  void Number() {
    Token token;
    token.kind = Kind::kNumber;
    const auto take = [&] {
      while (IsDigit(Get(at_)))
        token.text.push_back(static_cast<char>(text_[at_++]));
    };
    take();
    if (!token.text.empty() && token.text.size() <= 3 && token.text[0] != '0') {
      // A comma alone groups only where every group fits.
      for (std::size_t gap = Separator(at_); gap > 0 && GroupAt(at_ + gap); gap = Separator(at_)) {
        token.grouped = token.grouped || (gap == 1 && text_[at_] == ',');
        at_ += gap;
        take();
      }
    }
    if (Get(at_) == '.' && IsDigit(Get(at_ + 1))) {
      token.text.push_back('.');
      ++at_;
      take();
    }
    Exponent(&token);
    // 5万
    while (Get(at_) == U'万' || Get(at_) == U'亿')
      token.exponent = std::min(token.exponent + (text_[at_++] == U'万' ? 4 : 8), 10000000);
    if (token.grouped) out_.grouped = true;
    Push(std::move(token));
  }

  // e23 behind digits; not the e of 2e^x.
  void Exponent(Token* token) {
    if ((Get(at_) | 32) != 'e') return;
    std::size_t i = at_ + 1;
    const bool negative = Get(i) == '-' || Get(i) == U'−';
    if (negative || Get(i) == '+') ++i;
    if (!IsDigit(Get(i))) return;
    std::int32_t value = 0;
    for (; IsDigit(Get(i)); ++i)
      value = std::min(value * 10 + static_cast<std::int32_t>(Get(i) - '0'), 10000000);
    if (IsAsciiLetter(Get(i)) || Get(i) == '^') return;
    token->exponent = negative ? -value : value;
    at_ = i;
  }

  void Backslash() {
    const std::size_t start = ++at_;
    if (start >= text_.size()) return;
    if (!IsAsciiLetter(text_[start])) return Escaped();
    while (IsAsciiLetter(Get(at_)))
      ++at_;
    std::string name = EncodeUtf8(text_.substr(start, at_ - start));
    if (Get(at_) == '*') ++at_;
    Command(std::move(name));
  }

  void Escaped() {
    const char32_t c = text_[at_++];
    switch (c) {
      case '{':
      case '}':
      case '%':
      case '&':
      case '_':
      case '#':
        return PushSign(c);
      case '$':
        return PushSign(U'$');
      case '|':
        return PushSign(U'‖');
      case '\\':
        // A command whose backslash was escaped once too often.
        if (EscapedCommand()) return Backslash();
        space_ = true;
        if (Get(at_) == '[') SkipBracket();
        return PushSign(kNewRow);
      default:
        space_ = true;  // \, \; \! \( \) \[ \] and blanks
    }
  }

  // At the second of two backslashes (at_ is behind it): goes back to it when a command follows.
  bool EscapedCommand() {
    std::size_t end = at_;
    while (IsAsciiLetter(Get(end)))
      ++end;
    if (end < at_ + 2 || end > at_ + 20) return false;
    const std::string name = EncodeUtf8(text_.substr(at_, end - at_));
    if (MeaningOf(name).kind == CommandKind::kUnknown && name != "begin" && name != "end")
      return false;
    --at_;
    return true;
  }

  // \\[2pt]
  void SkipBracket() {
    for (std::size_t i = at_; i < text_.size() && i < at_ + 12; ++i) {
      if (text_[i] != ']') continue;
      at_ = i + 1;
      return;
    }
  }

  void Command(std::string name) {
    if (name == "begin" || name == "end") return Environment(name);
    // \leftarrow is none of \left's.
    const CommandMeaning meaning = MeaningOf(name);
    switch (meaning.kind) {
      case CommandKind::kSign:
        return PushSign(meaning.sign);
      case CommandKind::kBlank:
        space_ = true;
        return;
      case CommandKind::kNothing:
        if ((name == "left" || name == "right") && Get(at_) == '.') ++at_;
        return;
      case CommandKind::kTransparent:
        return;
      case CommandKind::kUpright:
        return Upright();
      case CommandKind::kUnknown:
        return Unknown(std::move(name));
      case CommandKind::kName:
        return PushWord(name == "imath" ? "i" : std::move(name), false);
      default:
        return PushCommand(std::move(name));
    }
  }

  // \quadx is \quad x to those who leave blanks out.
  void Unknown(std::string name) {
    for (const std::string_view prefix : {"qquad", "quad", "cdot", "times", "pi"}) {
      if (!name.starts_with(prefix)) continue;
      const std::string rest = name.substr(prefix.size());
      Command(std::string(prefix));
      return PushWord(rest, false);
    }
    PushCommand(std::move(name));
  }

  // The argument's words are words; its braces are seen when a power or an index may follow.
  void Upright() {
    while (IsWhiteSpace(Get(at_)) && at_ < text_.size())
      ++at_;
    space_ = true;
    if (Get(at_) == '{') {
      upright_next_ = hide_next_ = true;
      return;
    }
    out_.sound = out_.sound && at_ < text_.size();
  }

  void Environment(const std::string& which) {
    while (Get(at_) == ' ')
      ++at_;
    const std::size_t close = Get(at_) == '{' ? text_.substr(at_, 32).find(U'}') : Text::npos;
    if (close == Text::npos) {
      out_.sound = false;
      return;
    }
    std::string name = EncodeUtf8(text_.substr(at_ + 1, close - 1));
    if (name.ends_with('*')) name.pop_back();
    at_ += close + 1;
    if (which == "begin" && (name == "array" || name == "tabular")) {
      const std::size_t end = Get(at_) == '{' ? text_.substr(at_, 64).find(U'}') : Text::npos;
      if (end != Text::npos) at_ += end + 1;
    }
    PushCommand(which + ":" + name);
  }

  Text text_;
  std::size_t at_ = 0;
  bool join_groups_;
  bool space_ = false;
  bool upright_ = false;       // inside \text{}
  bool upright_next_ = false;  // the next brace opens an upright group
  bool hide_next_ = false;     // ... whose braces are no tokens
  std::vector<Group> groups_;
  Tokens out_;
};

}  // namespace

Tokens Tokenize(std::u32string_view text, bool join_groups) {
  return Lexer(text, join_groups).Run();
}

}  // namespace aha::rewards::math
