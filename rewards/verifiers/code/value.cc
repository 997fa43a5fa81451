#include "rewards/verifiers/code/value.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

namespace aha::rewards::code {
namespace {

constexpr std::uint32_t kBase = 1U << 15;
constexpr std::size_t kMostDecimals = 20000;

void Trim(Integer* integer) {
  while (!integer->digits.empty() && integer->digits.back() == 0)
    integer->digits.pop_back();
  if (integer->digits.empty()) integer->negative = false;
}

}  // namespace

std::optional<Integer> ParseInteger(std::string_view decimal) {
  Integer out;
  if (decimal.starts_with('-')) {
    out.negative = true;
    decimal.remove_prefix(1);
  }
  if (decimal.empty() || decimal.size() > kMostDecimals) return std::nullopt;
  while (!decimal.empty()) {
    const std::string_view piece = decimal.substr(0, 4);
    decimal.remove_prefix(piece.size());
    std::uint32_t carry = 0, scale = 1;
    for (const char c : piece) {
      if (c < '0' || c > '9') return std::nullopt;
      carry = carry * 10 + static_cast<std::uint32_t>(c - '0');
      scale *= 10;
    }
    for (std::uint16_t& digit : out.digits) {
      const std::uint32_t sum = digit * scale + carry;
      digit = static_cast<std::uint16_t>(sum % kBase);
      carry = sum / kBase;
    }
    if (carry != 0) out.digits.push_back(static_cast<std::uint16_t>(carry));
  }
  Trim(&out);
  return out;
}

Integer MakeInteger(std::int64_t value) {
  Integer out;
  out.negative = value < 0;
  std::uint64_t rest =
      out.negative ? 0 - static_cast<std::uint64_t>(value) : static_cast<std::uint64_t>(value);
  for (; rest != 0; rest /= kBase)
    out.digits.push_back(static_cast<std::uint16_t>(rest % kBase));
  return out;
}

double ToReal(const Integer& integer) {
  double out = 0;
  for (std::size_t i = integer.digits.size(); i > 0; --i)
    out = out * kBase + integer.digits[i - 1];
  return integer.negative ? -out : out;
}

bool SameNumber(const Integer& integer, double real) {
  if (!std::isfinite(real) || real != std::trunc(real)) return false;
  Integer other;
  other.negative = real < 0;
  int exponent = 0;
  // 53 bits of mantissa, then zeros.
  auto mantissa =
      static_cast<std::uint64_t>(std::ldexp(std::frexp(std::fabs(real), &exponent), 53));
  exponent -= 53;
  for (; exponent < 0; ++exponent)
    mantissa >>= 1;
  Integer low = MakeInteger(static_cast<std::int64_t>(mantissa));
  other.digits.assign(static_cast<std::size_t>(exponent) / 15, 0);
  std::uint32_t carry = 0;
  for (const std::uint16_t digit : low.digits) {
    const std::uint32_t shifted = (static_cast<std::uint32_t>(digit) << (exponent % 15)) + carry;
    other.digits.push_back(static_cast<std::uint16_t>(shifted % kBase));
    carry = shifted / kBase;
  }
  if (carry != 0) other.digits.push_back(static_cast<std::uint16_t>(carry));
  Trim(&other);
  return other == integer;
}

}  // namespace aha::rewards::code
