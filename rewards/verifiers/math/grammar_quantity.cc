// Numbers with units, and the words around them.
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
      if (power.kind != Kind::kNumber || power.text.size() != 1) return false;
      text += "^" + power.text;
      at += group ? 3 : 1;
    } else {
      break;
    }
  }
  if (single || !AtItemEnd(at)) return false;
  *end = at;
  const Token& first = Peek();
  const auto known = KnownUnit(text);
  if (known) {
    *unit = *known;
    return true;
  }
  if (first.text.size() == 1 || FunctionName(first.text) || IsLetterName(first.text) ||
      first.text == "pi")
    return false;
  if (!first.upright && !SplitWord(first.text, false).empty() && at == at_ + 1) return false;
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
