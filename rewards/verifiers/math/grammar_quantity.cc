// Numbers with units, and the words around them.
#include <algorithm>
#include <map>
#include <utility>

#include "rewards/verifiers/math/grammar.h"
#include "rewards/verifiers/math/units.h"
#include "rewards/verifiers/math/vocabulary.h"

namespace aha::rewards::math {

using Kind = Token::Kind;
constexpr std::size_t kLongestPhrase = 24;  // tokens

bool Grammar::Currency(char32_t sign, std::string* unit) const {
  switch (sign) {
    case U'$':
      *unit = "dollar";
      return true;
    case U'€':
      *unit = "euro";
      return true;
    case U'£':
      *unit = "sterling";
      return true;
    case U'¥':
      *unit = "yuan";
      return true;
    case U'₹':
      *unit = "rupee";
      return true;
    default:
      return false;
  }
}

namespace {

// Cups, eggs and legs behind a number and a blank, not a product of their letters: no letters of
// figures alone (abcd), no run of the alphabet (mnop).
bool IsThing(std::string_view word) {
  if (word.size() < 3) return false;
  bool vowel = false, other = false, run = true;
  for (std::size_t i = 0; i < word.size(); ++i) {
    const char c = word[i];
    if (c < 'a' || c > 'z') return false;
    vowel = vowel || std::string_view("aeiou").find(c) != std::string_view::npos;
    other = other || std::string_view("abcdefghxyz").find(c) == std::string_view::npos ||
            (i > 0 && word[i - 1] == c);
    run = run && (i == 0 || c == word[i - 1] + 1);
  }
  return vowel && other && !run;
}

std::string PowerText(const std::string& unit, int power) {
  return power == 1 ? unit : unit + "^" + std::to_string(power);
}

}  // namespace

// "J/(mol K)", "kg m^2 s^{-2}", "m/s^2": known units with whole exponents; `unit` is one text for
// all spellings of a product. Upright, or behind a number and a blank with a slash between.
bool Grammar::UnitProduct(std::size_t* end, std::string* unit) const {
  std::map<std::string, int> powers;
  bool upright = true, slash = false, below = false;
  int open = 0;
  std::size_t at = at_;
  for (; at < at_ + kLongestPhrase && !AtItemEnd(at); ++at) {
    const Token& token = tokens_[at];
    if (token.kind == Kind::kSign) {
      if (token.sign == U'/' && !slash && at > at_) {
        slash = below = true;
      } else if (token.sign == U'(' && tokens_[at - 1].sign == U'/' && open == 0) {
        ++open;
      } else if (token.sign != U'*' || at == at_) {
        return false;
      }
      continue;
    }
    if (token.kind != Kind::kWord) return false;
    const auto known = token.upright ? KnownUprightUnit(token.text) : KnownUnit(token.text);
    if (!known || known->find('/') != std::string::npos) return false;
    upright = upright && token.upright;
    int power = 1;
    if (const std::size_t length = UnitPower(at + 1, &power); length > 0) at += length;
    powers[*known] += below ? -power : power;
    if (open > 0 && tokens_[at + 1].kind == Kind::kSign && tokens_[at + 1].sign == U')') {
      --open;
      ++at;
    }
  }
  const bool plain = slash && at_ > 0 && Peek().space && tokens_[at_ - 1].kind == Kind::kNumber;
  if (powers.empty() || open != 0 || !AtItemEnd(at) || !(upright || plain)) return false;
  std::string top, bottom;
  for (const auto& [name, power] : powers) {
    if (power > 0) top += (top.empty() ? "" : "*") + PowerText(name, power);
    if (power < 0) bottom += (bottom.empty() ? "" : "*") + PowerText(name, -power);
  }
  *end = at;
  *unit = bottom.empty() ? top : top + "/" + bottom;
  return true;
}

// ^2, ^{-2}; how many tokens, 0: none.
std::size_t Grammar::UnitPower(std::size_t at, int* power) const {
  const auto token = [this](std::size_t i) -> const Token& {
    return tokens_[std::min(i, tokens_.size() - 1)];
  };
  const auto sign = [&](std::size_t i, char32_t c) {
    return token(i).kind == Kind::kSign && token(i).sign == c;
  };
  if (!sign(at, U'^')) return 0;
  std::size_t i = at + 1;
  const bool group = sign(i, kGroupOpen);
  if (group) ++i;
  const bool negative = sign(i, U'-');
  if (negative) ++i;
  if (token(i).kind != Kind::kNumber || token(i).text.size() != 1 || token(i).exponent != 0)
    return 0;
  *power = (negative ? -1 : 1) * (token(i).text[0] - '0');
  ++i;
  if (group && !sign(i++, kGroupClose)) return 0;
  return i - at;
}

// "USD 460", "Rs. 500", "US$18": the tokens before the number, 0: none.
std::size_t Grammar::CurrencyWord(std::string* unit) const {
  if (Peek().kind != Kind::kWord) return 0;
  std::size_t length = 1;
  if (IsWord("US") && IsSign(U'$', 1)) {
    ++length;
  } else if (IsWord("Rs") && IsSign(U'.', 1)) {
    ++length;
  }
  if (Peek(length).kind != Kind::kNumber) return 0;
  constexpr std::pair<std::string_view, std::string_view> kWords[] = {
      {"USD", "dollar"}, {"US", "dollar"}, {"EUR", "euro"}, {"Rs", "rupee"},
      {"INR", "rupee"},  {"RMB", "yuan"},  {"CNY", "yuan"}};
  for (const auto& [word, name] : kWords) {
    if (!IsWord(word) || (word == "US" && length == 1)) continue;
    *unit = name;
    return length;
  }
  return 0;
}

// A phrase of words from here to the end of the item that can be a unit: "cm", "cm^2", "km/h",
// "square metres", "apples left". `end` is where it ends.
bool Grammar::UnitPhrase(std::size_t* end, std::string* unit) const {
  if (Peek().kind != Kind::kWord) return false;
  std::string text;
  std::size_t at = at_;
  bool single = true;  // nothing but letters of one character so far, attached to the number
  for (; at < tokens_.size(); ++at) {
    if (at > at_ + kLongestPhrase) return false;
    const Token& token = tokens_[at];
    if (token.kind == Kind::kWord) {
      if (at > at_ && token.space) text += ' ';
      // A new item begins: "5 cm and 3 cm".
      if (at > at_ &&
          (token.text == "and" || token.text == "or" || token.text == "和" || token.text == "或"))
        break;
      single = single && token.text.size() == 1 && !token.upright && !token.space;
      text += token.text;
    } else if (token.kind == Kind::kSign && (token.sign == U'/' || token.sign == U'.')) {
      text += token.sign == U'/' ? '/' : '.';
    } else if (token.kind == Kind::kSign && token.sign == U'^') {
      const bool group = at + 3 < tokens_.size() && tokens_[at + 1].sign == kGroupOpen &&
                         tokens_[at + 3].sign == kGroupClose;
      if (at + 2 >= tokens_.size()) return false;
      const Token& power = tokens_[at + (group ? 2 : 1)];
      if (power.kind != Kind::kNumber || power.text.size() != 1) return UnitProduct(end, unit);
      text += "^" + power.text;
      at += group ? 3 : 1;
    } else {
      break;
    }
  }
  if (single || !AtItemEnd(at)) return UnitProduct(end, unit);
  *end = at;
  const Token& first = Peek();
  const auto known = KnownUnit(text);
  if (known) {
    *unit = *known;
    return true;
  }
  if (UnitProduct(end, unit)) return true;
  if (first.text.size() == 1 || FunctionName(first.text) || IsLetterName(first.text) ||
      first.text == "pi")
    return false;
  if (!first.upright && !SplitWord(first.text, false).empty() && at == at_ + 1 &&
      !(first.space && IsThing(first.text)))
    return false;
  unit->clear();
  return AreHarmlessWords(text);
}

bool Grammar::AtUnit() const {
  std::size_t end = 0;
  std::string unit;
  return UnitPhrase(&end, &unit);
}

bool Grammar::Unit(Node* out) {
  std::string unit;
  std::size_t end = at_ + 1;
  if (Peek().kind == Kind::kSign && Currency(Peek().sign, &unit)) {
    // 18 €
  } else if (!UnitPhrase(&end, &unit)) {
    return true;  // none: that is fine
  }
  if (!IsExpression(*out)) return false;
  at_ = end;
  *out = Node(Op::kQuantity, std::move(unit), {std::move(*out)});
  return true;
}

}  // namespace aha::rewards::math
