#include "rewards/verifiers/math/steps.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <utility>

#include <flint/fmpq.h>
#include <flint/fmpz.h>

#include "rewards/text.h"
#include "rewards/verifiers/math/rational.h"

namespace aha::rewards::math {
namespace {

constexpr std::size_t kMostDigits = 40;
constexpr std::ptrdiff_t kMostTokens = 256;  // of one side
constexpr long kMostBits = 4096;

enum class Kind : std::uint8_t {
  kNumber,
  kOperator,  // text is one of + - * /
  kOpen,
  kClose,
  kEqual,
  kName,   // one letter by itself, which may stand for a number
  kWord,   // any other word
  kOther,  // one character that is nothing of the above
};

struct Token {
  Kind kind = Kind::kOther;
  std::string text;  // a number without commas; a sign or another ASCII character
  std::size_t end = 0;
  bool touches = false;  // nothing stands between it and the token before
};

// Words and signs that mean something here, longest first where one begins another.
struct Word {
  std::string_view spelling;
  Kind kind;
  std::string_view text;
};
constexpr Word kWords[] = {{"divided by", Kind::kOperator, "/"}, {"equals", Kind::kEqual, "="},
                           {"equal to", Kind::kEqual, "="},      {"plus", Kind::kOperator, "+"},
                           {"minus", Kind::kOperator, "-"},      {"times", Kind::kOperator, "*"},
                           {"makes", Kind::kEqual, "="},         {"is", Kind::kEqual, "="}};
constexpr Word kSigns[] = {{"\\times", Kind::kOperator, "*"}, {"\\cdot", Kind::kOperator, "*"},
                           {"\\div", Kind::kOperator, "/"},   {"+", Kind::kOperator, "+"},
                           {"-", Kind::kOperator, "-"},       {"−", Kind::kOperator, "-"},
                           {"*", Kind::kOperator, "*"},       {"×", Kind::kOperator, "*"},
                           {"·", Kind::kOperator, "*"},       {"/", Kind::kOperator, "/"},
                           {"÷", Kind::kOperator, "/"},       {"=", Kind::kEqual, "="},
                           {"(", Kind::kOpen, "("},           {")", Kind::kClose, ")"},
                           {"加", Kind::kOperator, "+"},      {"减", Kind::kOperator, "-"},
                           {"乘", Kind::kOperator, "*"},      {"除以", Kind::kOperator, "/"},
                           {"等于", Kind::kEqual, "="},       {"得", Kind::kEqual, "="},
                           {"是", Kind::kEqual, "="}};

bool IsDigit(char c) {
  return c >= '0' && c <= '9';
}

class Lexer {
 public:
  explicit Lexer(std::string_view text) : text_(text) {}

  std::vector<Token> All() {
    std::vector<Token> tokens;
    bool blank = true;
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (c == ' ' || c == '\t' || c == '$') {  // a dollar is a sign of money or of mathematics
        blank = blank || c != '$';
        ++at_;
        continue;
      }
      const bool operand = !tokens.empty() && (tokens.back().kind == Kind::kNumber ||
                                               tokens.back().kind == Kind::kClose);
      Token token = operand && IsTimes() ? Times() : Next();
      token.end = at_;
      token.touches = !blank;
      blank = false;
      tokens.push_back(std::move(token));
    }
    return tokens;
  }

 private:
  Token Next() {
    if (IsDigit(text_[at_])) return Number();
    for (const Word& sign : kSigns) {
      if (Take(sign.spelling)) return {sign.kind, std::string(sign.text)};
    }
    std::size_t next = at_;
    const CodePoint point = DecodeNext(text_, &next).point;
    if (IsLetter(point) && !IsHan(point) && !IsKana(point)) return WordHere();
    const std::string_view character = text_.substr(at_, next - at_);
    at_ = next;
    return {Kind::kOther, std::string(character)};
  }

  // "2 x 3": between numbers an x multiplies.
  [[nodiscard]] bool IsTimes() const {
    if (text_[at_] != 'x' && text_[at_] != 'X') return false;
    const std::size_t next = text_.find_first_not_of(' ', at_ + 1);
    return next != std::string_view::npos && (IsDigit(text_[next]) || text_[next] == '(');
  }
  Token Times() {
    ++at_;
    return {Kind::kOperator, "*"};
  }

  // The end of the run of letters at `from`.
  [[nodiscard]] std::size_t EndOfWord(std::size_t from, int* letters) const {
    for (std::size_t at = from; at < text_.size(); from = at, ++*letters) {
      const CodePoint point = DecodeNext(text_, &at).point;
      if (!IsLetter(point) || IsHan(point) || IsKana(point)) break;
    }
    return from;
  }

  Token WordHere() {
    for (const Word& word : kWords) {
      int more = 0;
      if (!text_.substr(at_).starts_with(word.spelling)) continue;
      const std::size_t end = at_ + word.spelling.size();
      if (EndOfWord(end, &more) != end) continue;
      at_ = end;
      return {word.kind, std::string(word.text)};
    }
    int letters = 0;
    at_ = EndOfWord(at_, &letters);
    return {letters == 1 ? Kind::kName : Kind::kWord, {}};
  }

  Token Number() {
    std::string digits;
    Digits(&digits);
    while (at_ + 3 < text_.size() && text_[at_] == ',' && ThreeDigits(at_ + 1)) {
      ++at_;
      Digits(&digits);
    }
    if (at_ + 1 < text_.size() && text_[at_] == '.' && IsDigit(text_[at_ + 1])) {
      digits.push_back('.');
      ++at_;
      Digits(&digits);
    }
    return {digits.size() > kMostDigits ? Kind::kOther : Kind::kNumber, std::move(digits)};
  }

  void Digits(std::string* out) {
    while (at_ < text_.size() && IsDigit(text_[at_])) {
      if (out->size() <= kMostDigits) out->push_back(text_[at_]);
      ++at_;
    }
  }

  [[nodiscard]] bool ThreeDigits(std::size_t from) const {
    return IsDigit(text_[from]) && IsDigit(text_[from + 1]) && IsDigit(text_[from + 2]) &&
           (from + 3 == text_.size() || !IsDigit(text_[from + 3]));
  }

  bool Take(std::string_view spelling) {
    if (!text_.substr(at_).starts_with(spelling)) return false;
    at_ += spelling.size();
    return true;
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

// "12.50" as a fraction.
Rational ValueOf(const std::string& digits) {
  Rational value;
  std::string whole = digits;
  const std::size_t point = whole.find('.');
  const std::size_t places = point == std::string::npos ? 0 : whole.size() - point - 1;
  if (point != std::string::npos) whole.erase(point, 1);
  fmpz_set_str(value.top(), whole.c_str(), 10);
  fmpz_set_ui(value.bottom(), 10);
  fmpz_pow_ui(value.bottom(), value.bottom(), places);
  fmpq_canonicalise(value.get());
  return value;
}

// One side of an equation: sum := product (("+" | "-") product)*, product := factor (("*" | "/")
// factor)*, factor := ["-"] (number | "(" sum ")").
class Side {
 public:
  explicit Side(const Token* begin, const Token* end) : at_(begin), end_(end) {}

  // Nothing: it is no expression, is too large, or divides by zero.
  std::optional<Rational> Value() {
    Rational value;
    if (!Sum(&value, 0) || at_ != end_) return std::nullopt;
    return value;
  }

 private:
  static constexpr int kDeepest = 32;
  [[nodiscard]] bool Is(std::string_view sign) const {
    return at_ != end_ && at_->kind == Kind::kOperator && at_->text == sign;
  }

  bool Sum(Rational* out, int depth) {
    if (!Product(out, depth)) return false;
    while (Is("+") || Is("-")) {
      const bool plus = (at_++)->text == "+";
      Rational next;
      if (!Product(&next, depth)) return false;
      (plus ? fmpq_add : fmpq_sub)(out->get(), out->get(), next.get());
      if (out->Bits() > kMostBits) return false;
    }
    return true;
  }

  bool Product(Rational* out, int depth) {
    if (!Factor(out, depth)) return false;
    while (Is("*") || Is("/")) {
      const bool times = (at_++)->text == "*";
      Rational next;
      if (!Factor(&next, depth) || (!times && next.IsZero())) return false;
      (times ? fmpq_mul : fmpq_div)(out->get(), out->get(), next.get());
      if (out->Bits() > kMostBits) return false;
    }
    return true;
  }

  bool Factor(Rational* out, int depth) {
    const bool negative = Is("-");
    if (negative) ++at_;
    if (at_ == end_ || depth > kDeepest) return false;
    if (at_->kind == Kind::kNumber) {
      *out = ValueOf((at_++)->text);
    } else if (at_->kind == Kind::kOpen) {
      ++at_;
      if (!Sum(out, depth + 1) || at_ == end_ || at_->kind != Kind::kClose) return false;
      ++at_;
    } else {
      return false;
    }
    if (negative) fmpq_neg(out->get(), out->get());
    return true;
  }

  const Token* at_;
  const Token* end_;
};

bool HasWork(const Token* begin, const Token* end) {
  // A sign before a lone number is part of it.
  return std::count_if(begin, end, [](const Token& t) { return t.kind == Kind::kNumber; }) > 1;
}

// Whether `left` is `right`, or rounds to it where `right` is one number with decimal places.
bool Holds(const Rational& left, const Rational& right, const Token& last, bool single) {
  if (left == right) return true;
  const std::size_t point = last.text.find('.');
  if (!single || point == std::string::npos) return false;
  Rational gap, half(1);
  fmpq_sub(gap.get(), left.get(), right.get());
  fmpq_abs(gap.get(), gap.get());
  fmpz_set_ui(half.bottom(), 10);
  fmpz_pow_ui(half.bottom(), half.bottom(), last.text.size() - point - 1);
  fmpz_mul_ui(half.bottom(), half.bottom(), 2);
  fmpq_canonicalise(half.get());
  return fmpq_cmp(gap.get(), half.get()) <= 0;
}

bool IsPart(const Token& token) {
  return token.kind == Kind::kNumber || token.kind == Kind::kOperator ||
         token.kind == Kind::kOpen || token.kind == Kind::kClose;
}

// "= 7 7 + 1": a number behind a number is of the next side.
bool BeginsAnother(const Token& token, const Token& before) {
  return token.kind == Kind::kNumber &&
         (before.kind == Kind::kNumber || before.kind == Kind::kClose);
}

// One side of what may be an equation.
struct Run {
  const Token* begin = nullptr;
  const Token* end = nullptr;
};

// Brackets around a whole equation, of which each side has one, belong to neither.
void DropLooseBrackets(Run* run) {
  const auto count = [&](Kind kind) {
    return std::count_if(run->begin, run->end, [&](const Token& t) { return t.kind == kind; });
  };
  auto loose = count(Kind::kOpen) - count(Kind::kClose);
  for (; loose > 0 && run->begin->kind == Kind::kOpen; --loose)
    ++run->begin;
  for (; loose < 0 && run->end[-1].kind == Kind::kClose; ++loose)
    --run->end;
}

// What stands before the left side is no part of what it means.
bool BeginsHere(const Run& run, const Token* first) {
  const bool sign = run.begin->kind == Kind::kOperator;
  if (sign && (run.begin->text != "-" || run.begin + 1 == run.end || !run.begin[1].touches))
    return false;
  if (run.begin == first) return true;
  const Token& before = run.begin[-1];
  if (before.kind == Kind::kName || before.text == "^") return false;
  return !(before.kind == Kind::kWord && run.begin->touches);
}

// Nor what stands behind the right side.
bool EndsHere(const Run& run, const Token* last) {
  if (run.end == last || !run.end->touches) return true;
  return run.end->kind != Kind::kName && run.end->text != "^" && run.end->text != "%" &&
         run.end->text != "\\";
}

std::string Spelling(const Run& run) {
  std::string out;
  for (const Token* t = run.begin; t != run.end; ++t)
    out += t->text;
  return out;
}

std::optional<WorkedStep> StepOf(Run left, Run right, const Token* first, const Token* last) {
  if (left.begin == left.end || right.begin == right.end) return std::nullopt;
  DropLooseBrackets(&left);
  DropLooseBrackets(&right);
  if (left.begin == left.end || right.begin == right.end) return std::nullopt;
  if (!BeginsHere(left, first) || !EndsHere(right, last)) return std::nullopt;
  if (!HasWork(left.begin, left.end) && !HasWork(right.begin, right.end)) return std::nullopt;
  if (right.end - right.begin > kMostTokens || left.end - left.begin > kMostTokens)
    return std::nullopt;
  const auto a = Side(left.begin, left.end).Value(), b = Side(right.begin, right.end).Value();
  if (!a || !b) return std::nullopt;
  const bool holds = Holds(*a, *b, right.end[-1], !HasWork(right.begin, right.end));
  return WorkedStep{right.end[-1].end, holds, Spelling(left) + "=" + Spelling(right)};
}

}  // namespace

std::vector<WorkedStep> FindSteps(std::string_view text) {
  FreeFlintWithThread();
  const std::vector<Token> tokens = Lexer(text).All();
  const Token* const first = tokens.data();
  const Token* const last = first + tokens.size();
  std::vector<WorkedStep> steps;
  Run left{first, first};
  for (const Token* at = first; at != last;) {
    Run run{at, at};
    while (run.end != last && IsPart(*run.end) &&
           !(run.end != at && BeginsAnother(*run.end, run.end[-1])))
      ++run.end;
    if (left.end != left.begin) {
      if (auto step = StepOf(left, run, first, last)) steps.push_back(std::move(*step));
    }
    at = run.end;
    left = {at, at};
    if (at != last && at->kind == Kind::kEqual) left = run;
    if (at != last && !IsPart(*at)) ++at;
  }
  return steps;
}

}  // namespace aha::rewards::math
