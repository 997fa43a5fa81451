// Sums, products, powers and what stands behind an operand.
#include <utility>

#include "rewards/verifiers/math/grammar.h"
#include "rewards/verifiers/math/vocabulary.h"

namespace aha::rewards::math {

using Kind = Token::Kind;

bool Grammar::Sum(Node* out) {
  std::vector<Node> terms(1);
  int alternatives = 0;
  Deeper deeper(this);
  if (too_large_) return false;
  if (IsSign(U'±') || IsSign(U'∓')) {
    terms[0] = Node(Op::kNumber, "0");
  } else if (!Product(&terms[0])) {
    return false;
  }
  for (;;) {
    if (Take(U'+')) {
      if (!Product(&terms.emplace_back())) return false;
    } else if (Take(U'-')) {
      Node term;
      if (!Product(&term) || !MakeNegative(std::move(term), &terms.emplace_back())) return false;
    } else if (IsSign(U'±') || IsSign(U'∓')) {
      if (++alternatives > 8) return false;
      const char* which = IsSign(U'±') ? "+" : "-";
      ++at_;
      Node left, right;
      if (!MakeSum(std::move(terms), &left) || !Product(&right)) return false;
      if (!IsExpression(left) || !IsExpression(right)) return false;
      terms.clear();
      terms.emplace_back(Op::kPlusMinus, which,
                         std::vector<Node>{std::move(left), std::move(right)});
    } else {
      return MakeSum(std::move(terms), out);
    }
  }
}

// Left to right, but flat: a/b/c*d is (a*d)/(b*c).
bool Grammar::Product(Node* out) {
  std::vector<Node> factors(1), divisors;
  if (!Juxtaposed(&factors[0])) return false;
  for (;;) {
    if (Take(U'*')) {
      if (!Juxtaposed(&factors.emplace_back())) return false;
    } else if (IsSign(U'/') || IsSign(U'÷')) {
      ++at_;
      if (!Juxtaposed(&divisors.emplace_back())) return false;
    } else {
      break;
    }
  }
  if (divisors.empty()) return MakeProduct(std::move(factors), out);
  Node top, bottom;
  return MakeProduct(std::move(factors), &top) && MakeProduct(std::move(divisors), &bottom) &&
         MakeQuotient(std::move(top), std::move(bottom), out);
}

// Factors side by side bind closer than a slash: 1/2x is 1/(2x).
bool Grammar::Juxtaposed(Node* out) {
  std::vector<Node> factors(1);
  if (!Signed(&factors[0])) return false;
  while (StartsFactor() && !AtUnit()) {
    if (!Power(&factors.emplace_back())) return false;
  }
  return MakeProduct(std::move(factors), out);
}

bool Grammar::Signed(Node* out) {
  bool negative = false;
  for (; IsSign(U'-') || IsSign(U'+'); ++at_)
    negative = negative != IsSign(U'-');
  if (!negative) return Power(out);
  Node inner;
  return Power(&inner) && MakeNegative(std::move(inner), out);
}

bool Grammar::StartsFactor() const {
  const Token& token = Peek();
  switch (token.kind) {
    case Kind::kNumber:
      // Two numbers side by side are no product.
      return at_ > 0 && tokens_[at_ - 1].kind != Kind::kNumber;
    case Kind::kWord:
      return !AtSeparator() && !IsWord("in") && !IsWord("if") && !IsWord("where") && !IsWord("for");
    case Kind::kCommand:
      return token.text == "frac" || token.text == "dfrac" || token.text == "tfrac" ||
             token.text == "cfrac" || token.text == "sqrt" || token.text == "binom" ||
             token.text == "dbinom" || token.text == "tbinom" || token.text == "overline" ||
             token.text == "sum" || token.text == "prod" || token.text == "int" ||
             token.text == "lim" || token.text.starts_with("begin:");
    case Kind::kSign:
      if (token.sign == U'|' || token.sign == U'‖') return bars_ == 0 && !such_that_;
      // The end of ]1, 2[ begins nothing.
      if (token.sign == U'[') return !AtItemEnd(at_ + 1);
      return token.sign == U'(' || token.sign == kGroupOpen || token.sign == U'√' ||
             token.sign == U'∛' || token.sign == U'⌊' || token.sign == U'⌈';
    default:
      return false;
  }
}

bool Grammar::Power(Node* out) {
  Deeper deeper(this);
  if (too_large_) return false;
  return Primary(out) && Postfix(out);
}

// C_n^k and A_n^k with numbers for both, k <= n and n > 1.
static bool Chosen(const Node& base, const Node& exponent) {
  if (base.op != Op::kSymbol || base.name.size() < 3 || base.name.size() > 4 ||
      (base.name[0] != 'C' && base.name[0] != 'A') || base.name[1] != '_' ||
      exponent.op != Op::kNumber || exponent.exponent != 0 || exponent.name.size() > 2)
    return false;
  const auto number = [](std::string_view digits) {
    int value = 0;
    for (const char c : digits) {
      if (c < '0' || c > '9') return -1;
      value = 10 * value + (c - '0');
    }
    return value;
  };
  const int n = number(std::string_view(base.name).substr(2)), k = number(exponent.name);
  return n > 1 && k >= 0 && k <= n;
}

bool Grammar::Raise(Node* base) {
  // 90^\circ, 90^{\circ}
  const bool group = IsSign(kGroupOpen);
  if (IsSign(U'°', group ? 1 : 0) && (!group || IsSign(kGroupClose, 2))) {
    if (group) {
      at_ += 1;
      tokens_[at_ + 1] = tokens_[at_];
      at_ += 1;
    }
    return true;  // Postfix reads the degree sign
  }
  // 5^{th}
  if (group && IsSign(kGroupClose, 2)) {
    for (const char* ordinal : {"th", "st", "nd", "rd"}) {
      if (!IsWord(ordinal, 1)) continue;
      at_ += 3;
      return true;
    }
  }
  Node exponent;
  if (IsSign(kGroupOpen)) {
    if (!Group(&exponent)) return false;
  } else if (IsSign(U'-') || IsSign(U'+')) {
    if (!Signed(&exponent)) return false;
  } else if (!Primary(&exponent)) {
    return false;
  }
  // Right to left: 2^3^2 is 2^9.
  if (Take(U'^')) {
    Deeper deeper(this);
    if (too_large_ || !Raise(&exponent)) return false;
  }
  if (base->op == Op::kMatrix && exponent.op == Op::kSymbol && exponent.name == "T") {
    Node transposed(Op::kMatrix, "");
    for (std::size_t c = 0; c < base->items[0].items.size(); ++c) {
      Node row(Op::kTuple, "");
      for (Node& old : base->items)
        row.items.push_back(std::move(old.items[c]));
      transposed.items.push_back(std::move(row));
    }
    *base = std::move(transposed);
    return true;
  }
  if (!IsExpression(*base) || !IsExpression(exponent)) return false;
  if (Chosen(*base, exponent)) {
    // C_5^2 and A_5^2 of Chinese schools: combinations and arrangements.
    const bool ordered = base->name[0] == 'A';
    Node n(Op::kNumber, base->name.substr(2));
    Node chosen(Op::kFunction, "binom", {n, exponent});
    if (ordered) {
      Node orders(Op::kFunction, "factorial", {std::move(exponent)});
      chosen = Node(Op::kMultiply, "", {std::move(chosen), std::move(orders)});
    }
    *base = std::move(chosen);
    return true;
  }
  *base = Node(Op::kPower, "", {std::move(*base), std::move(exponent)});
  return true;
}

bool Grammar::Postfix(Node* out) {
  for (int links = 0; links < Deeper::kDeepest; ++links) {
    if (Take(U'^')) {
      if (!Raise(out)) return false;
    } else if (IsSign(U'!') && !IsSign(U'=', 1) && !IsSign(U'!', 1)) {
      ++at_;
      if (!IsExpression(*out)) return false;
      *out = Node(Op::kFunction, "factorial", {std::move(*out)});
    } else if (IsSign(U'%') || IsWord("percent") || IsWord("pct") ||
               (IsWord("per") && IsWord("cent", 1))) {
      at_ += IsWord("per") ? 2 : 1;
      if (!IsExpression(*out)) return false;
      *out = Node(Op::kPercent, "", {std::move(*out)});
    } else if (IsSign(U'°')) {
      ++at_;
      if (!IsExpression(*out)) return false;
      if (IsWord("C") || IsWord("F")) {
        *out = Node(Op::kQuantity, IsWord("C") ? "celsius" : "fahrenheit", {std::move(*out)});
        ++at_;
        return true;
      }
      *out = Node(Op::kDegree, "", {std::move(*out)});
    } else {
      return true;
    }
  }
  too_large_ = true;
  return false;
}

bool Grammar::Bars(Node* out, char32_t bar) {
  ++at_;
  ++bars_;
  Node inner;
  const bool read = Sum(&inner);
  --bars_;
  if (!read || !Take(bar)) return false;
  if (inner.op == Op::kMatrix) return MakeDeterminant(inner, out);
  if (!IsExpression(inner)) return false;
  *out = Node(Op::kFunction, "abs", {std::move(inner)});
  return true;
}

bool Grammar::Primary(Node* out) {
  Deeper deeper(this);
  if (too_large_) return false;
  const Token& token = Peek();
  if (token.kind == Kind::kNumber) return Number(out);
  if (token.kind == Kind::kWord) return Word(out);
  if (token.kind == Kind::kCommand) return Command(out);
  if (token.kind != Kind::kSign) return false;
  switch (token.sign) {
    case U'(':
    case U'[':
    case U']':
    case U'⟨':
      return Bracketed(out);
    case U'{':
      return Braced(out);
    case kGroupOpen:
      return Group(out);
    case U'|':
    case U'‖':
      return Bars(out, token.sign);
    case U'√':
      ++at_;
      return Function("sqrt", out);
    case U'∛':
      ++at_;
      return Function("cbrt", out);
    case U'∞':
      ++at_;
      *out = Node(Op::kConstant, "inf");
      return true;
    case U'∅':
      ++at_;
      *out = Node(Op::kSet, "");
      return true;
    case U'⌊':
    case U'⌈': {
      const char32_t close = token.sign == U'⌊' ? U'⌋' : U'⌉';
      const char* name = token.sign == U'⌊' ? "floor" : "ceil";
      ++at_;
      Node inner;
      if (!Sum(&inner) || !IsExpression(inner) || !Take(close)) return false;
      *out = Node(Op::kFunction, name, {std::move(inner)});
      return true;
    }
    default:
      return false;
  }
}

}  // namespace aha::rewards::math
