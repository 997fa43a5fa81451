#pragma once
/// Numbers as people write them in answers, held exactly: bounded rationals of any precision.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace aha::rewards::math {

/// A natural number in limbs of nine decimal digits, least first, no leading zero limb.
class Natural {
 public:
  Natural() = default;
  explicit Natural(std::uint32_t value);
  /// `digits` are 0 to 9 only.
  static Natural FromDigits(std::string_view digits);
  static Natural PowerOfTen(std::size_t exponent);

  [[nodiscard]] bool IsZero() const { return limbs_.empty(); }
  friend Natural operator*(const Natural& a, const Natural& b);
  friend Natural operator+(const Natural& a, const Natural& b);
  friend bool operator==(const Natural&, const Natural&) = default;
  friend bool operator<(const Natural& a, const Natural& b);

 private:
  std::vector<std::uint32_t> limbs_;
};

/// numerator / denominator, with how it was written where comparison depends on it. Not reduced.
struct Number {
  bool negative = false;
  Natural numerator;
  Natural denominator{1};
  /// Set when written with a decimal point: the last digit stands for 10^-decimals of the value
  /// (before any percent sign is applied).
  std::optional<std::int64_t> decimals;
  /// A % stood behind it. The value above is the number before the sign: 25 for "25%".
  bool percent = false;
};

/// Digits that a number may have, exponent included; longer ones are no numbers but text.
inline constexpr std::size_t kMostDigits = 2048;

/// The longest number that begins at `at` in `text` (as Normalize makes it), and moves `at` behind
/// it: -5, +5, .5, 1,234.5, 6.02e23, 6.02*10^23, 10^6, 3/4, (-3)/4, 2 3/4, each with or without %.
/// nullopt: none begins there, it is too long, or its denominator is zero.
std::optional<Number> ScanNumber(std::string_view text, std::size_t* at);

/// All of `text` as one number.
std::optional<Number> ParseNumber(std::string_view text);

/// Whether `answer` is the number meant by `reference`:
///  - equal as rationals; or, where the reference has a decimal point, equal after rounding to its
///    last digit, half away from zero;
///  - a reference with % accepts the number, the number with %, and the fraction that it means;
///  - an answer with % to a reference without is read as the fraction.
bool SameNumber(const Number& reference, const Number& answer);

}  // namespace aha::rewards::math
