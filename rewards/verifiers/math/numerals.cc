#include "rewards/verifiers/math/numerals.h"

#include <array>
#include <cstdint>

namespace aha::rewards::math {
namespace {

constexpr std::size_t kLongest = 64;

int DigitOf(char32_t c) {
  constexpr std::u32string_view kDigits = U"零一二三四五六七八九";
  if (c == U'〇') return 0;
  if (c == U'两') return 2;
  const auto at = kDigits.find(c);
  return at == std::u32string_view::npos ? -1 : static_cast<int>(at);
}

std::uint64_t UnitOf(char32_t c) {
  switch (c) {
    case U'十':
      return 10;
    case U'百':
      return 100;
    case U'千':
      return 1000;
    case U'万':
      return 10000;
    case U'亿':
      return 100000000;
    default:
      return 0;
  }
}

// A natural number from the front of `text`; its length, 0: none.
std::size_t ReadNatural(std::u32string_view text, std::string* digits) {
  std::size_t at = 0;
  bool units = false;
  while (at < text.size() && at < kLongest && (DigitOf(text[at]) >= 0 || UnitOf(text[at]) > 0)) {
    units = units || UnitOf(text[at]) > 0;
    ++at;
  }
  const std::u32string_view run = text.substr(0, at);
  digits->clear();
  if (!units) {
    for (const char32_t c : run)
      digits->push_back(static_cast<char>('0' + DigitOf(c)));
    return at;
  }
  // total: behind the last 亿 or 万; section: below that; digit: still without its unit.
  std::uint64_t total = 0, section = 0, digit = 0, last = 1;  // last: the unit just before
  bool have = false;
  for (const char32_t c : run) {
    if (const int d = DigitOf(c); d >= 0) {
      if (have && digit != 0) return 0;  // two digits in a row among units
      digit = static_cast<std::uint64_t>(d);
      have = true;
      if (d == 0) last = 1;
      continue;
    }
    const std::uint64_t unit = UnitOf(c);
    if (unit < 10000) {
      section += (have ? digit : 1) * unit;
    } else {
      const std::uint64_t low = section + digit;
      if (total > 1000000000000ULL || low > 1000000000000ULL) return 0;
      total = unit == 100000000 ? (total + (low == 0 && total == 0 ? 1 : low)) * unit
                                : total + (low == 0 ? 1 : low) * unit;
      section = 0;
    }
    digit = 0;
    have = false;
    last = unit;
  }
  // 二百五 is 250, 一万二 is 12000; 二百零五 is 205.
  if (last >= 10) digit *= last / 10;
  *digits = std::to_string(total + section + digit);
  return at;
}

// The 三分之一 of 二又三分之一, made one fraction with the whole number before; how long it is with
// its 又, 0: there is none.
std::size_t ReadFractionBehind(std::u32string_view text, HanNumeral* numeral) {
  constexpr std::size_t kMostDigits = 9;
  std::string bottom, top;
  const std::size_t first = ReadNatural(text, &bottom);
  if (first == 0 || !text.substr(first).starts_with(U"分之")) return 0;
  const std::size_t second = ReadNatural(text.substr(first + 2), &top);
  for (const std::string* digits : {&bottom, &top, &numeral->top}) {
    if (digits->empty() || digits->size() > kMostDigits || digits->find('.') != std::string::npos)
      return 0;
  }
  if (second == 0 || !numeral->bottom.empty()) return 0;
  numeral->top = std::to_string(std::stoull(numeral->top) * std::stoull(bottom) + std::stoull(top));
  numeral->bottom = std::move(bottom);
  return first + second + 3;
}

}  // namespace

std::optional<HanNumeral> ReadHanNumeral(std::u32string_view text) {
  HanNumeral numeral;
  std::size_t at = 0;
  if (text.starts_with(U'负')) {
    numeral.negative = true;
    at = 1;
  }
  if (text.substr(at).starts_with(U"百分之")) {
    numeral.percent = true;
    at += 3;
  }
  if (text.substr(at) == U"一半") {
    numeral.top = "1";
    numeral.bottom = "2";
    numeral.length = at + 2;
    return numeral;
  }
  const std::size_t length = ReadNatural(text.substr(at), &numeral.top);
  if (length == 0) return std::nullopt;
  at += length;
  if (text.substr(at).starts_with(U'点') && at + 1 < text.size() && DigitOf(text[at + 1]) >= 0) {
    numeral.top.push_back('.');
    for (++at; at < text.size() && at < 2 * kLongest && DigitOf(text[at]) >= 0; ++at) {
      numeral.top.push_back(static_cast<char>('0' + DigitOf(text[at])));
    }
  } else if (text.substr(at).starts_with(U"分之")) {
    std::string top;
    const std::size_t below = ReadNatural(text.substr(at + 2), &top);
    if (below > 0) {
      numeral.bottom = std::move(numeral.top);
      numeral.top = std::move(top);
      at += 2 + below;
    }
  }
  if (text.substr(at).starts_with(U'又')) at += ReadFractionBehind(text.substr(at + 1), &numeral);
  numeral.length = at;
  return numeral;
}

}  // namespace aha::rewards::math
