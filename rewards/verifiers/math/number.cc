#include "rewards/verifiers/math/number.h"

#include <algorithm>

namespace aha::rewards::math {
namespace {

constexpr std::uint32_t kBase = 1000000000;
constexpr std::size_t kLimbDigits = 9;

bool IsDigit(char c) {
  return c >= '0' && c <= '9';
}

// What a number literal is made of, before it becomes a rational.
struct Literal {
  std::string digits;     // all digits, the point taken out
  std::size_t after = 0;  // how many of them stand behind the point
  bool point = false;
  bool plain_integer = true;  // digits only: may begin a mixed number
};

class Reader {
 public:
  Reader(std::string_view text, std::size_t at) : text_(text), at_(at) {}

  std::optional<Number> Read() {
    Number number;
    number.negative = Sign();
    bool may_mix = false;
    if (!Operand(&number, &may_mix)) return std::nullopt;
    if (may_mix && MixedPart(&number)) {
      // The fraction belongs to it now.
    } else if (!Denominator(&number)) {
      return std::nullopt;
    }
    Percent(&number);
    return number;
  }

  [[nodiscard]] std::size_t at() const { return at_; }

 private:
  [[nodiscard]] char Get(std::size_t i) const { return i < text_.size() ? text_[i] : '\0'; }
  void SkipBlanks() {
    while (Get(at_) == ' ')
      ++at_;
  }

  bool Sign() {
    bool negative = false;
    if (Get(at_) == '-' || Get(at_) == '+') {
      negative = Get(at_) == '-';
      ++at_;
      SkipBlanks();
    }
    return negative;
  }

  // An unsigned literal with its power of ten, or one number in parentheses.
  bool Operand(Number* number, bool* may_mix) {
    if (Get(at_) == '(') return InParentheses(number);
    const auto literal = Digits();
    if (!literal) return false;
    *may_mix = literal->plain_integer;
    std::int64_t exponent = 0;
    if (literal->digits == "10" && !literal->point && Get(at_) == '^') {
      const auto power = PowerBehindHat(at_);
      if (!power) return false;
      *may_mix = false;
      return Assign(Literal{.digits = "1"}, *power, number);
    }
    if (const auto power = PowerOfTen()) {
      exponent = *power;
      *may_mix = false;
    }
    return Assign(*literal, exponent, number);
  }

  bool InParentheses(Number* number) {
    const std::size_t start = at_++;
    const bool negative = Sign();
    const auto literal = Digits();
    if (!literal || Get(at_) != ')' || !Assign(*literal, 0, number)) {
      at_ = start;
      return false;
    }
    ++at_;
    number->negative = number->negative != negative;
    return true;
  }

  std::optional<Literal> Digits() {
    Literal literal;
    const std::size_t start = at_;
    while (IsDigit(Get(at_)))
      ++at_;
    literal.digits = text_.substr(start, at_ - start);
    Groups(start, &literal);
    if (Get(at_) == '.' && IsDigit(Get(at_ + 1))) {
      const std::size_t point = ++at_;
      while (IsDigit(Get(at_)))
        ++at_;
      literal.digits += text_.substr(point, at_ - point);
      literal.after = at_ - point;
      literal.point = true;
      literal.plain_integer = false;
    }
    if (literal.digits.empty() || literal.digits.size() > kMostDigits) return std::nullopt;
    return literal;
  }

  // 1,234,567: one to three digits, then groups of exactly three.
  void Groups(std::size_t start, Literal* literal) {
    if (at_ == start || at_ - start > 3 || text_[start] == '0') return;
    while (Get(at_) == ',' && IsDigit(Get(at_ + 1)) && IsDigit(Get(at_ + 2)) &&
           IsDigit(Get(at_ + 3)) && !IsDigit(Get(at_ + 4))) {
      literal->digits += text_.substr(at_ + 1, 3);
      literal->plain_integer = false;
      at_ += 4;
    }
  }

  // e23, E-4, *10^23, * 10^(-4)
  std::optional<std::int64_t> PowerOfTen() {
    if ((Get(at_) | 32) == 'e') {
      std::size_t i = at_ + 1;
      const auto power = SignedInteger(&i);
      if (power) at_ = i;
      return power;
    }
    std::size_t i = at_;
    while (Get(i) == ' ')
      ++i;
    if (Get(i) != '*') return std::nullopt;
    ++i;
    while (Get(i) == ' ')
      ++i;
    if (text_.substr(std::min(i, text_.size()), 3) != "10^") return std::nullopt;
    return PowerBehindHat(i + 2);
  }

  // `hat` is where the ^ stands; moves behind the exponent.
  std::optional<std::int64_t> PowerBehindHat(std::size_t hat) {
    std::size_t i = hat + 1;
    const bool parenthesis = Get(i) == '(';
    if (parenthesis) ++i;
    const auto power = SignedInteger(&i);
    if (!power || (parenthesis && Get(i) != ')')) return std::nullopt;
    at_ = i + (parenthesis ? 1 : 0);
    return power;
  }

  std::optional<std::int64_t> SignedInteger(std::size_t* at) {
    const bool negative = Get(*at) == '-';
    if (negative || Get(*at) == '+') ++*at;
    if (!IsDigit(Get(*at))) return std::nullopt;
    std::int64_t value = 0;
    for (; IsDigit(Get(*at)); ++*at) {
      value = std::min<std::int64_t>(value * 10 + (Get(*at) - '0'), 1000000);
    }
    return negative ? -value : value;
  }

  static bool Assign(const Literal& literal, std::int64_t exponent, Number* number) {
    const std::int64_t shift = exponent - static_cast<std::int64_t>(literal.after);
    const auto size = static_cast<std::size_t>(shift < 0 ? -shift : shift);
    if (size > kMostDigits) return false;
    const Natural digits = Natural::FromDigits(literal.digits);
    number->numerator = shift > 0 ? digits * Natural::PowerOfTen(size) : digits;
    number->denominator = shift < 0 ? Natural::PowerOfTen(size) : Natural(1);
    if (literal.point) number->decimals = -shift;
    return true;
  }

  // " 3/4" behind an integer.
  bool MixedPart(Number* number) {
    const std::size_t start = at_;
    if (Get(at_) != ' ') return false;
    SkipBlanks();
    const auto top = Digits();
    const auto bottom = top && top->plain_integer && Slash() ? Digits() : std::nullopt;
    const Natural divisor = bottom ? Natural::FromDigits(bottom->digits) : Natural();
    if (!bottom || !bottom->plain_integer || divisor.IsZero()) {
      at_ = start;
      return false;
    }
    number->numerator = number->numerator * divisor + Natural::FromDigits(top->digits);
    number->denominator = divisor;
    return true;
  }

  bool Slash() {
    std::size_t i = at_;
    while (Get(i) == ' ')
      ++i;
    if (Get(i) != '/') return false;
    at_ = i + 1;
    SkipBlanks();
    return true;
  }

  // False only for a zero denominator; what follows a slash and is no number is not ours.
  bool Denominator(Number* number) {
    const std::size_t start = at_;
    if (!Slash()) return true;
    Number divisor;
    bool may_mix = false;
    const bool negative = Get(at_) == '-' && Sign();
    if (!Operand(&divisor, &may_mix)) {
      at_ = start;
      return true;
    }
    if (divisor.numerator.IsZero()) return false;
    number->negative = number->negative != (negative != divisor.negative);
    number->numerator = number->numerator * divisor.denominator;
    number->denominator = number->denominator * divisor.numerator;
    number->decimals.reset();
    return true;
  }

  void Percent(Number* number) {
    std::size_t i = at_;
    while (Get(i) == ' ')
      ++i;
    for (const std::string_view sign : {"%", "percent", "per cent"}) {
      if (text_.substr(std::min(i, text_.size()), sign.size()) != sign) continue;
      number->percent = true;
      at_ = i + sign.size();
      return;
    }
  }

  std::string_view text_;
  std::size_t at_;
};

bool SameValue(const Number& a, const Number& b) {
  if (a.numerator.IsZero() || b.numerator.IsZero()) {
    return a.numerator.IsZero() && b.numerator.IsZero();
  }
  return a.negative == b.negative && a.numerator * b.denominator == b.numerator * a.denominator;
}

// With x = |answer| and u = 10^-decimals: rounds to |reference| when
// 2|reference| - u <= 2x < 2|reference| + u. All sides are brought to naturals.
bool RoundsTo(const Number& reference, const Number& answer) {
  const std::int64_t decimals = *reference.decimals;
  const auto shift = static_cast<std::size_t>(decimals < 0 ? -decimals : decimals);
  if (shift > kMostDigits) return false;
  const Natural ten = Natural::PowerOfTen(shift);
  const Natural up = decimals >= 0 ? ten : Natural(1);
  const Natural down = decimals >= 0 ? Natural(1) : ten;
  const Natural bottoms = reference.denominator * answer.denominator;
  const Natural half = bottoms * down;
  const Natural target = Natural(2) * reference.numerator * answer.denominator * up;
  const Natural doubled = Natural(2) * answer.numerator * reference.denominator * up;
  if (!(doubled < target + half)) return false;
  if (reference.numerator.IsZero()) return true;
  return reference.negative == answer.negative && !(doubled + half < target);
}

bool Means(const Number& reference, const Number& answer) {
  return reference.decimals ? RoundsTo(reference, answer) : SameValue(reference, answer);
}

// The value that the percent sign means: 0.25 for 25%.
Number AsFraction(Number number) {
  number.denominator = number.denominator * Natural(100);
  if (number.decimals) *number.decimals += 2;
  number.percent = false;
  return number;
}

}  // namespace

Natural::Natural(std::uint32_t value) {
  for (; value > 0; value /= kBase)
    limbs_.push_back(value % kBase);
}

Natural Natural::FromDigits(std::string_view digits) {
  Natural out;
  for (std::size_t end = digits.size(); end > 0;) {
    const std::size_t start = end > kLimbDigits ? end - kLimbDigits : 0;
    std::uint32_t limb = 0;
    for (std::size_t i = start; i < end; ++i) {
      limb = limb * 10 + static_cast<std::uint32_t>(digits[i] - '0');
    }
    out.limbs_.push_back(limb);
    end = start;
  }
  while (!out.limbs_.empty() && out.limbs_.back() == 0)
    out.limbs_.pop_back();
  return out;
}

Natural Natural::PowerOfTen(std::size_t exponent) {
  std::string digits(exponent + 1, '0');
  digits[0] = '1';
  return FromDigits(digits);
}

Natural operator*(const Natural& a, const Natural& b) {
  Natural out;
  if (a.IsZero() || b.IsZero()) return out;
  out.limbs_.resize(a.limbs_.size() + b.limbs_.size());
  for (std::size_t i = 0; i < a.limbs_.size(); ++i) {
    std::uint64_t carry = 0;
    for (std::size_t j = 0; j < b.limbs_.size() || carry > 0; ++j) {
      const std::uint64_t product =
          j < b.limbs_.size() ? std::uint64_t{a.limbs_[i]} * b.limbs_[j] : 0;
      const std::uint64_t sum = out.limbs_[i + j] + product + carry;
      out.limbs_[i + j] = static_cast<std::uint32_t>(sum % kBase);
      carry = sum / kBase;
    }
  }
  while (!out.limbs_.empty() && out.limbs_.back() == 0)
    out.limbs_.pop_back();
  return out;
}

Natural operator+(const Natural& a, const Natural& b) {
  Natural out;
  std::uint32_t carry = 0;
  for (std::size_t i = 0; i < std::max(a.limbs_.size(), b.limbs_.size()) || carry > 0; ++i) {
    const std::uint32_t sum =
        (i < a.limbs_.size() ? a.limbs_[i] : 0) + (i < b.limbs_.size() ? b.limbs_[i] : 0) + carry;
    out.limbs_.push_back(sum % kBase);
    carry = sum / kBase;
  }
  return out;
}

bool operator<(const Natural& a, const Natural& b) {
  if (a.limbs_.size() != b.limbs_.size()) return a.limbs_.size() < b.limbs_.size();
  return std::lexicographical_compare(a.limbs_.rbegin(), a.limbs_.rend(), b.limbs_.rbegin(),
                                      b.limbs_.rend());
}

std::optional<Number> ScanNumber(std::string_view text, std::size_t* at) {
  Reader reader(text, *at);
  auto number = reader.Read();
  if (number) *at = reader.at();
  return number;
}

std::optional<Number> ParseNumber(std::string_view text) {
  std::size_t at = 0;
  auto number = ScanNumber(text, &at);
  return number && at == text.size() ? number : std::nullopt;
}

bool SameNumber(const Number& reference, const Number& answer) {
  if (reference.percent) {
    Number bare = answer;
    bare.percent = false;
    if (Means(reference, bare)) return true;  // the number, with % or without
    return !answer.percent && Means(AsFraction(reference), answer);
  }
  return Means(reference, answer.percent ? AsFraction(answer) : answer);
}

}  // namespace aha::rewards::math
