// Numbers, letters, functions and LaTeX commands.
#include <algorithm>
#include <utility>

#include "rewards/text.h"
#include "rewards/verifiers/math/grammar.h"
#include "rewards/verifiers/math/vocabulary.h"

namespace aha::rewards::math {
namespace {

using Kind = Token::Kind;
constexpr std::size_t kMostDigits = 20000;

bool IsInteger(const Token& token) {
  return token.kind == Kind::kNumber && token.exponent == 0 &&
         token.text.find('.') == std::string::npos;
}

std::int32_t PowerWord(std::string_view word) {
  constexpr std::pair<std::string_view, std::int32_t> kPowers[] = {
      {"hundred", 2}, {"thousand", 3}, {"million", 6}, {"billion", 9}, {"trillion", 12}};
  for (const auto& [name, power] : kPowers) {
    if (name == word) return power;
  }
  return 0;
}

bool IsStopWord(std::string_view word) {
  constexpr std::string_view kWords[] = {"no", "on", "is", "it", "in", "to", "of", "or", "by",
                                         "my", "we", "he", "me", "as", "at", "an", "am", "do",
                                         "go", "so", "up", "us", "if", "ok", "hi", "be"};
  return std::find(std::begin(kWords), std::end(kWords), word) != std::end(kWords);
}

bool IsBigOperator(std::string_view name) {
  return name == "sum" || name == "prod" || name == "int" || name == "iint" || name == "oint" ||
         name == "lim";
}

// Names that take an argument in parentheses: f(x), not x(x+1).
bool IsApplied(std::string_view name) {
  return name.size() == 1 && std::string_view("fghFGHPQ").find(name[0]) != std::string_view::npos;
}

}  // namespace

std::vector<std::string> SplitWord(std::string_view word, bool alone) {
  std::vector<std::string> factors;
  if (word.size() > 8) return {};
  bool named = false;
  for (std::size_t i = 0; i < word.size();) {
    std::size_t length = 1;
    for (std::size_t n = std::min<std::size_t>(word.size() - i, 7); n >= 2; --n) {
      const auto piece = word.substr(i, n);
      if (piece != "pi" && !FunctionName(piece)) continue;
      length = n;
      named = true;
      break;
    }
    factors.emplace_back(word.substr(i, length));
    i += length;
  }
  if (named) return factors;
  if (!alone) return word.size() <= 4 && !IsStopWord(word) ? factors : std::vector<std::string>();
  // A lone word is a product only when it does not look like one of the language.
  const bool lower =
      std::all_of(word.begin(), word.end(), [](char c) { return c >= 'a' && c <= 'z'; });
  if (word.size() == 2) return lower && !IsStopWord(word) ? factors : std::vector<std::string>();
  const bool letters = word.find_first_not_of("abcxyz") == std::string_view::npos;
  return word.size() == 3 && letters ? factors : std::vector<std::string>();
}

bool Grammar::Number(Node* out) {
  const Token token = Peek();
  if (token.text.size() > kMostDigits) {
    too_large_ = true;
    return false;
  }
  ++at_;
  *out = Node(Op::kNumber, token.text);
  out->exponent = token.exponent;
  if (IsSign(U'.') || IsCommand("overline") || IsCommand("bar") || IsCommand("dot")) {
    return RepeatingDecimal(out);
  }
  if (IsSign(U'_')) {
    std::string base;
    if (!Subscript(&base) || base.empty() || base.size() > 2) return false;
    for (const char c : base) {
      if (c < '0' || c > '9') return false;
    }
    *out = Node(Op::kFunction, "base", {std::move(*out), Node(Op::kNumber, base)});
    return true;
  }
  if (IsInteger(token) && StartsMixed(*out)) return Mixed(out);
  if (Peek().kind == Kind::kWord) {
    if (const std::int32_t power = PowerWord(Peek().text); power > 0) {
      out->exponent += power;
      ++at_;
    }
  }
  return true;
}

// 0.1\overline{6}: the bar's digits go on for ever.
bool Grammar::RepeatingDecimal(Node* number) {
  const bool point = Take(U'.');
  if (point && !IsCommand("overline") && !IsCommand("bar") && !IsCommand("dot")) return false;
  const auto dot = number->name.find('.');
  if (point == (dot != std::string::npos)) return false;
  const bool dotted = IsCommand("dot");
  ++at_;
  Token digits = Peek();
  const bool group = IsSign(kGroupOpen);
  if (group) digits = Peek(1);
  if (!IsInteger(digits) || (group && !IsSign(kGroupClose, 2)) || digits.text.size() > 64)
    return false;
  at_ += group ? 3 : 1;
  // 0.\\dot{1}4\\dot{2}: dots on the period's ends.
  if (dotted && digits.text.size() == 1) {
    const bool between = IsInteger(Peek()) && IsCommand("dot", 1);
    const std::size_t end = between ? 1 : 0;
    if (IsCommand("dot", end) && IsSign(kGroupOpen, end + 1) && IsInteger(Peek(end + 2)) &&
        Peek(end + 2).text.size() == 1 && IsSign(kGroupClose, end + 3)) {
      digits.text += (between ? Peek().text : "") + Peek(end + 2).text;
      at_ += end + 4;
      if (digits.text.size() > 64) return false;
    }
  }
  const std::size_t before = point ? 0 : number->name.size() - dot - 1;
  Node period(Op::kDivide, "",
              {Node(Op::kNumber, digits.text),
               Node(Op::kNumber, std::string(digits.text.size(), '9') + std::string(before, '0'))});
  *number = Node(Op::kAdd, "mixed", {std::move(*number), std::move(period)});
  return true;
}

bool Grammar::StartsMixed(const Node&) const {
  if (Peek().kind == Kind::kCommand &&
      (Peek().text == "frac" || Peek().text == "dfrac" || Peek().text == "tfrac")) {
    const auto plain = [this](std::size_t at, std::size_t* next) {
      if (IsSign(kGroupOpen, at) && IsInteger(Peek(at + 1)) && IsSign(kGroupClose, at + 2)) {
        *next = at + 3;
        return true;
      }
      *next = at + 1;
      return IsInteger(Peek(at));
    };
    std::size_t next = 0;
    if (!plain(1, &next)) return false;
    return (IsInteger(Peek(1)) && Peek(1).text.size() == 2) || plain(next, &next);
  }
  return IsInteger(Peek()) && Peek().space && IsSign(U'/', 1) && IsInteger(Peek(2));
}

bool Grammar::Mixed(Node* number) {
  Node fraction;
  if (IsInteger(Peek())) {
    fraction =
        Node(Op::kDivide, "", {Node(Op::kNumber, Peek().text), Node(Op::kNumber, Peek(2).text)});
    at_ += 3;
  } else if (!Command(&fraction)) {
    return false;
  }
  *number = Node(Op::kAdd, "mixed", {std::move(*number), std::move(fraction)});
  return true;
}

bool Grammar::Word(Node* out) {
  Token& token = tokens_[at_];
  const std::string word = token.text;
  if (FunctionName(word)) {
    ++at_;
    return Function(std::string(*FunctionName(word)), out);
  }
  if (word == "inf" || word == "infinity" || word == "Infinity" || word == "oo") {
    ++at_;
    *out = Node(Op::kConstant, "inf");
    return true;
  }
  if (word == "pi") {
    ++at_;
    *out = Node(Op::kConstant, "pi");
    return true;
  }
  if (word.size() == 1 || IsLetterName(word)) {
    const bool upright = token.upright;
    ++at_;
    return Name(word, upright, out);
  }
  if (token.upright) return false;
  // The first factor now; the others stay in the token (`grouped`: it is a product, whatever it
  // looks like).
  const auto factors = SplitWord(word, false);
  if (factors.empty() && !token.grouped) return false;
  const std::string first = factors.empty() ? word.substr(0, 1) : factors[0];
  if (first.size() == word.size()) {
    ++at_;
  } else {
    token.text.erase(0, first.size());
    token.space = false;
    token.grouped = true;
  }
  if (first == "pi") {
    *out = Node(Op::kConstant, "pi");
    return true;
  }
  if (FunctionName(first)) return Function(std::string(*FunctionName(first)), out);
  return Name(first, false, out);
}

bool Grammar::Name(std::string name, bool, Node* out) {
  if (name == "e" || name == "i") {
    if (!IsSign(U'_')) {
      *out = Node(Op::kConstant, std::move(name));
      return true;
    }
  }
  if (IsSign(U'_')) {
    std::string index;
    if (!Subscript(&index)) return false;
    name += "_" + index;
  }
  for (int primes = 0; IsSign(U'\'') && primes < 4; ++primes) {
    ++at_;
    name += '\'';
  }
  if (IsApplied(name.substr(0, 1)) && IsSign(U'(') && !Peek().space) {
    Node arguments;
    if (!Bracketed(&arguments)) return false;
    if (arguments.op != Op::kTuple && !IsExpression(arguments)) return false;
    name += arguments.op == Op::kTuple ? ToText(arguments) : "(" + ToText(arguments) + ")";
  }
  *out = Node(Op::kSymbol, std::move(name));
  return true;
}

bool Grammar::Subscript(std::string* text) {
  if (!Take(U'_')) return false;
  if (IsSign(kGroupOpen)) return RawGroup(text);
  const Token& token = Peek();
  if (token.kind != Kind::kNumber && token.kind != Kind::kWord) return false;
  *text = token.text;
  ++at_;
  return true;
}

// A group's tokens as text: an index is a name, not a number.
bool Grammar::RawGroup(std::string* text) {
  int open = 0;
  for (int taken = 0; taken < 32; ++taken) {
    const Token& token = Peek();
    if (token.kind == Kind::kEnd) return false;
    ++at_;
    if (token.kind == Kind::kSign && token.sign == kGroupOpen) {
      if (++open == 1) continue;
      text->push_back('(');
    } else if (token.kind == Kind::kSign && token.sign == kGroupClose) {
      if (--open == 0) return true;
      text->push_back(')');
    } else if (token.kind == Kind::kSign) {
      AppendUtf8(token.sign, text);
    } else {
      *text += token.text;
    }
  }
  return false;
}

bool Grammar::Command(Node* out) {
  const std::string name = Peek().text;
  if (name.starts_with("begin:")) return Environment(out);
  if (name == "mathbb") return Domain(out);
  ++at_;
  if (name == "frac" || name == "dfrac" || name == "tfrac" || name == "cfrac") {
    Node top, bottom;
    return TexArgument(&top) && TexArgument(&bottom) &&
           MakeQuotient(std::move(top), std::move(bottom), out);
  }
  if (name == "binom" || name == "dbinom" || name == "tbinom") {
    Node n, k;
    if (!TexArgument(&n) || !TexArgument(&k) || !IsExpression(n) || !IsExpression(k)) return false;
    *out = Node(Op::kFunction, "binom", {std::move(n), std::move(k)});
    return true;
  }
  if (name == "sqrt") return Root(out);
  if (IsBigOperator(name)) return BigOperator(name, out);
  if (name == "overline" || name == "bar" || name == "dot") {
    std::string text;
    if (!IsSign(kGroupOpen) || !RawGroup(&text) || text.empty()) return false;
    *out = Node(Op::kSymbol, name + "(" + text + ")");
    return true;
  }
  return false;
}

// Sums, integrals and limits are not worked out: each is a symbol of its own, the same for the same
// text.
bool Grammar::BigOperator(std::string name, Node* out) {
  std::string scripts[2];
  for (int i = 0; i < 2; ++i) {
    const bool below = IsSign(U'_');
    if (!below && !IsSign(U'^')) break;
    ++at_;
    std::string* script = &scripts[below ? 0 : 1];
    if (IsSign(kGroupOpen)) {
      if (!RawGroup(script)) return false;
    } else {
      const Token& token = Peek();
      if (token.kind != Kind::kNumber && token.kind != Kind::kWord && token.kind != Kind::kSign)
        return false;
      if (token.kind == Kind::kSign) {
        AppendUtf8(token.sign, script);
      } else {
        *script = token.text;
      }
      ++at_;
    }
  }
  Node body;
  if (!Product(&body) || !IsExpression(body) || SizeOf(body) > 256) return false;
  name += "_(" + scripts[0] + ")^(" + scripts[1] + ")";
  *out = Node(Op::kSymbol, name + ToSortedText(std::move(body)));
  return true;
}

// A group, or one digit or letter, as TeX reads it.
bool Grammar::TexArgument(Node* out) {
  if (IsSign(kGroupOpen)) {
    const bool outside = std::exchange(no_words_, true);
    const bool read = Group(out);
    no_words_ = outside;
    return read;
  }
  Token& token = tokens_[at_];
  if (token.kind == Kind::kNumber && token.text.size() > 1 && !token.upright &&
      token.exponent == 0) {
    if (token.text[0] == '.' || token.text[1] == '.') return Primary(out);
    *out = Node(Op::kNumber, token.text.substr(0, 1));
    token.text.erase(0, 1);
    return true;
  }
  if (token.kind == Kind::kNumber) {
    *out = Node(Op::kNumber, token.text);
    out->exponent = token.exponent;
    ++at_;
    return true;
  }
  if (token.kind == Kind::kWord && token.text.size() > 1 && token.text[0] > 0 && !token.upright &&
      token.text != "pi" && !IsLetterName(token.text) && !FunctionName(token.text)) {
    const std::string first = token.text.substr(0, 1);
    token.text.erase(0, 1);
    return Name(first, false, out);
  }
  sound_ = sound_ && token.kind != Kind::kEnd && !IsSign(kGroupClose);
  return Primary(out);
}

bool Grammar::Root(Node* out) {
  Node index, radicand;
  const bool indexed = Take(U'[');
  if (indexed && (!Sum(&index) || !Take(U']') || !IsExpression(index))) return false;
  const bool read = TexArgument(&radicand);
  if (Peek().kind == Kind::kEnd && !read) sound_ = false;
  if (!read || !IsExpression(radicand)) return false;
  *out = indexed ? Node(Op::kFunction, "root", {std::move(radicand), std::move(index)})
                 : Node(Op::kFunction, "sqrt", {std::move(radicand)});
  return true;
}

bool Grammar::Arguments(std::string_view name, std::vector<Node>* arguments) {
  if (IsSign(U'(') || IsSign(U'[') || IsSign(U'{') || IsSign(kGroupOpen)) {
    const bool many = name == "max" || name == "min" || name == "gcd" || name == "lcm";
    Node inside;
    if (!Primary(&inside)) return false;
    if ((inside.op == Op::kTuple || inside.op == Op::kSet) && (many || name == "log")) {
      *arguments = std::move(inside.items);
    } else {
      arguments->push_back(std::move(inside));
    }
    return !arguments->empty() && std::all_of(arguments->begin(), arguments->end(), IsExpression);
  }
  if (name == "sqrt" || name == "cbrt") {
    return Primary(&arguments->emplace_back()) && IsExpression(arguments->back());
  }
  // sin 2x: all factors side by side, up to the next function.
  const bool negative = Take(U'-');
  std::vector<Node> factors;
  do {
    if (!Power(&factors.emplace_back())) return false;
  } while (StartsFactor() && !AtUnit() && !IsSign(U'(') &&
           !(Peek().kind == Kind::kWord && FunctionName(Peek().text)));
  Node product;
  if (!MakeProduct(std::move(factors), &product) || !IsExpression(product)) return false;
  if (negative) {
    Node inner = std::move(product);
    if (!MakeNegative(std::move(inner), &product)) return false;
  }
  arguments->push_back(std::move(product));
  return true;
}

bool Grammar::Function(std::string name, Node* out) {
  Deeper deeper(this);
  if (too_large_) return false;
  Node base, exponent;
  bool has_base = false, has_exponent = false;
  for (int scripts = 0; scripts < 2; ++scripts) {
    if (name == "log" && !has_base && Take(U'_')) {
      has_base = true;
      // log_28 is TeX for log_2 8; log_10 100 is meant as it looks.
      const bool whole = Peek().kind == Kind::kNumber && Peek(1).kind != Kind::kEnd;
      if (IsSign(kGroupOpen) ? !Group(&base) : whole ? !Primary(&base) : !TexArgument(&base))
        return false;
    } else if (!has_exponent && Take(U'^')) {
      has_exponent = true;
      if (IsSign(kGroupOpen) ? !Group(&exponent) : !Signed(&exponent)) return false;
    }
  }
  std::vector<Node> arguments;
  if (!Arguments(name, &arguments)) return false;
  if (has_base) {
    if (!IsExpression(base) || arguments.size() != 1) return false;
    arguments.push_back(std::move(base));
  }
  if (has_exponent && !IsExpression(exponent)) return false;
  const bool inverse = has_exponent && exponent.op == Op::kNegate &&
                       exponent.items[0].name == "1" && exponent.items[0].op == Op::kNumber;
  constexpr std::string_view kInvertible[] = {"sin", "cos", "tan", "cot", "sinh", "cosh", "tanh"};
  if (inverse &&
      std::find(std::begin(kInvertible), std::end(kInvertible), name) != std::end(kInvertible)) {
    has_exponent = false;
    name.insert(0, "a");
  }
  *out = Node(Op::kFunction, std::move(name), std::move(arguments));
  if (has_exponent) *out = Node(Op::kPower, "", {std::move(*out), std::move(exponent)});
  return true;
}

}  // namespace aha::rewards::math
