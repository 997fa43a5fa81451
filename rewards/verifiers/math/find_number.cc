#include "rewards/verifiers/math/find_number.h"

namespace aha::rewards::math {
namespace {

class Scanner {
 public:
  Scanner(std::string_view text, std::size_t at) : text_(text), at_(at) {}

  bool Scan() {
    Sign();
    bool integer = false;
    if (!Operand(&integer)) return false;
    if (!integer || !MixedPart()) {
      if (!Denominator()) return false;
    }
    Percent();
    return true;
  }
  [[nodiscard]] std::size_t at() const { return at_; }

 private:
  [[nodiscard]] char Get(std::size_t i) const { return i < text_.size() ? text_[i] : '\0'; }
  [[nodiscard]] bool DigitAt(std::size_t i) const { return Get(i) >= '0' && Get(i) <= '9'; }
  [[nodiscard]] std::size_t Behind(std::size_t i, char c) const {
    while (Get(i) == c)
      ++i;
    return i;
  }

  void Sign() {
    if (Get(at_) == '-' || Get(at_) == '+') at_ = Behind(at_ + 1, ' ');
  }

  bool Operand(bool* integer) {
    if (Get(at_) == '(') {
      std::size_t start = at_++;
      Sign();
      if (Digits(integer) && Get(at_) == ')') {
        ++at_;
        *integer = false;
        return true;
      }
      at_ = start;
      return false;
    }
    const std::size_t start = at_;
    if (!Digits(integer)) return false;
    if (text_.substr(start, at_ - start) == "10" && Get(at_) == '^') {
      *integer = false;
      return Power(at_ + 1);
    }
    PowerOfTen(integer);
    return true;
  }

  bool Digits(bool* integer) {
    const std::size_t start = at_;
    while (DigitAt(at_))
      ++at_;
    *integer = at_ > start;
    // 1,234,567: one to three digits, then groups of exactly three.
    if (at_ > start && at_ - start <= 3 && text_[start] != '0') {
      while (Get(at_) == ',' && DigitAt(at_ + 1) && DigitAt(at_ + 2) && DigitAt(at_ + 3) &&
             !DigitAt(at_ + 4)) {
        at_ += 4;
        *integer = false;
      }
    }
    if (Get(at_) == '.' && DigitAt(at_ + 1)) {
      *integer = false;
      ++at_;
      while (DigitAt(at_))
        ++at_;
    }
    return at_ > start;
  }

  void PowerOfTen(bool* integer) {
    if ((Get(at_) | 32) == 'e') {
      std::size_t i = at_ + 1;
      if (Get(i) == '-' || Get(i) == '+') ++i;
      if (DigitAt(i) && Power(at_ + 1)) *integer = false;
      return;
    }
    std::size_t i = Behind(at_, ' ');
    if (Get(i) != '*') return;
    i = Behind(i + 1, ' ');
    if (text_.substr(i < text_.size() ? i : text_.size(), 3) == "10^" && Power(i + 3))
      *integer = false;
  }

  // A whole exponent at `i`, in parentheses or not; moves behind it.
  bool Power(std::size_t i) {
    const bool parenthesis = Get(i) == '(';
    if (parenthesis) ++i;
    if (Get(i) == '-' || Get(i) == '+') ++i;
    if (!DigitAt(i)) return false;
    while (DigitAt(i))
      ++i;
    if (parenthesis && Get(i) != ')') return false;
    at_ = i + (parenthesis ? 1 : 0);
    return true;
  }

  // " 3/4" behind a whole number.
  bool MixedPart() {
    std::size_t i = Behind(at_, ' ');
    if (i == at_ || !DigitAt(i)) return false;
    while (DigitAt(i))
      ++i;
    i = Behind(i, ' ');
    if (Get(i) != '/') return false;
    i = Behind(i + 1, ' ');
    const std::size_t bottom = i;
    while (DigitAt(i))
      ++i;
    if (i == bottom ||
        text_.substr(bottom, i - bottom).find_first_not_of('0') == std::string_view::npos)
      return false;
    at_ = i;
    return true;
  }

  bool Denominator() {
    const std::size_t start = at_;
    const std::size_t slash = Behind(at_, ' ');
    if (Get(slash) != '/') return true;
    at_ = Behind(slash + 1, ' ');
    const std::size_t from = at_;
    if (Get(at_) == '-') Sign();
    bool integer = false;
    if (!Operand(&integer)) {
      at_ = start;  // what follows the slash is no number: it is not ours
      return true;
    }
    return text_.substr(from, at_ - from).find_first_of("123456789") != std::string_view::npos;
  }

  void Percent() {
    const std::size_t i = Behind(at_, ' ');
    for (const std::string_view sign : {"%", "percent", "per cent"}) {
      if (text_.substr(i < text_.size() ? i : text_.size(), sign.size()) != sign) continue;
      at_ = i + sign.size();
      return;
    }
  }

  std::string_view text_;
  std::size_t at_;
};

}  // namespace

bool FindNumber(std::string_view text, std::size_t* at) {
  Scanner scanner(text, *at);
  if (!scanner.Scan()) return false;
  *at = scanner.at();
  return true;
}

}  // namespace aha::rewards::math
