#include "rewards/verifiers/math/units.h"

#include <algorithm>
#include <array>
#include <utility>

#include "rewards/text.h"

namespace aha::rewards::math {
namespace {

// Spellings of units of measure, and the name that two of them share. Units that are not here are
// words like any other: no two of those are told apart.
constexpr std::pair<std::string_view, std::string_view> kUnits[] = {
    {"cm", "cm"},       {"centimeter", "cm"}, {"centimetre", "cm"}, {"厘米", "cm"},
    {"mm", "mm"},       {"millimeter", "mm"}, {"millimetre", "mm"}, {"毫米", "mm"},
    {"m", "m"},         {"meter", "m"},       {"metre", "m"},       {"米", "m"},
    {"km", "km"},       {"kilometer", "km"},  {"kilometre", "km"},  {"千米", "km"},
    {"公里", "km"},     {"in", "in"},         {"inch", "in"},       {"inche", "in"},
    {"ft", "ft"},       {"foot", "ft"},       {"feet", "ft"},       {"mile", "mile"},
    {"yd", "yard"},     {"yard", "yard"},     {"g", "g"},           {"gram", "g"},
    {"克", "g"},        {"kg", "kg"},         {"kilogram", "kg"},   {"千克", "kg"},
    {"公斤", "kg"},     {"mg", "mg"},         {"lb", "lb"},         {"pound", "lb"},
    {"oz", "oz"},       {"ounce", "oz"},      {"s", "s"},           {"sec", "s"},
    {"second", "s"},    {"秒", "s"},          {"min", "min"},       {"minute", "min"},
    {"分钟", "min"},    {"h", "h"},           {"hr", "h"},          {"hour", "h"},
    {"小时", "h"},      {"day", "day"},       {"天", "day"},        {"week", "week"},
    {"month", "month"}, {"year", "year"},     {"年", "year"},       {"l", "l"},
    {"liter", "l"},     {"litre", "l"},       {"升", "l"},          {"ml", "ml"},
    {"毫升", "ml"},     {"°", "degree"},      {"degree", "degree"}, {"度", "degree"},
    {"°c", "celsius"},  {"°f", "fahrenheit"}, {"dollar", "dollar"}, {"usd", "dollar"},
    {"cent", "cent"},   {"元", "yuan"},       {"yuan", "yuan"},     {"euro", "euro"},
    {"eur", "euro"},    {"mph", "mph"},       {"km/h", "km/h"},     {"m/s", "m/s"}};

// Words that change what a number means, or make it no answer.
constexpr std::array<std::string_view, 37> kTelling = {
    "negative", "minus",    "plus",    "not",     "no",      "half",   "quarter", "third",
    "sqrt",     "root",     "times",   "squared", "cubed",   "pi",     "million", "billion",
    "trillion", "thousand", "hundred", "dozen",   "over",    "less",   "more",    "than",
    "infinity", "never",    "or",      "between", "percent", "except", "modulo",  "mod",
    "log",      "sin",      "cos",     "tan",     "ln"};
constexpr std::array<std::string_view, 13> kTellingHan = {
    "负", "不", "万", "亿", "千", "百", "半", "非", "或", "倍", "根", "平方", "成"};

bool IsAsciiLetter(CodePoint c) {
  return c < 0x80 && (c | 32) >= 'a' && (c | 32) <= 'z';
}

std::string Fold(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c | 32);
  }
  return out;
}

std::optional<std::string> KnownUnit(std::string_view word) {
  std::string folded = Fold(word);
  for (int plural = 0; plural < 2; ++plural) {
    for (const auto& [spelling, name] : kUnits) {
      if (spelling == folded) return std::string(name);
    }
    if (folded.size() < 3 || folded.back() != 's') break;
    folded.pop_back();
  }
  return std::nullopt;
}

std::string_view TrimSpaces(std::string_view text) {
  while (!text.empty() && text.front() == ' ')
    text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '.'))
    text.remove_suffix(1);
  return text;
}

}  // namespace

bool AreHarmlessWords(std::string_view words) {
  if (words.size() > 4096) return false;
  std::string word;
  const auto word_is_harmless = [&] {
    const std::string folded = Fold(std::exchange(word, {}));
    return std::find(kTelling.begin(), kTelling.end(), folded) == kTelling.end() &&
           (folded.size() != 1 || folded == "a" || folded == "i");
  };
  for (std::size_t at = 0; at < words.size();) {
    const std::size_t start = at;
    const CodePoint c = DecodeNext(words, &at).point;
    if (IsAsciiLetter(c) || (c == '\'' && !word.empty())) {
      word.push_back(static_cast<char>(c));
      continue;
    }
    if (!word.empty() && !word_is_harmless()) return false;
    const bool plain = c == ' ' || c == ',' || c == '.' || c == ':' || c == '"' || c == '\'' ||
                       c == 0x3002 || c == 0x2019;
    if (!plain && !IsLetter(c)) return false;
    for (const auto telling : kTellingHan) {
      if (words.substr(start, telling.size()) == telling) return false;
    }
  }
  return word.empty() || word_is_harmless();
}

std::optional<std::string> ReadUnit(std::string_view behind) {
  const bool apart = behind.starts_with(' ');
  std::string_view unit = TrimSpaces(behind);
  if (unit.empty()) return std::string();
  std::string power;
  for (const std::string_view suffix : {"^2", "^3"}) {
    if (!unit.ends_with(suffix)) continue;
    power = suffix;
    unit.remove_suffix(suffix.size());
  }
  for (const std::string_view prefix : {"square ", "cubic ", "sq "}) {
    if (!Fold(unit).starts_with(prefix)) continue;
    power = prefix == "cubic " ? "^3" : "^2";
    unit.remove_prefix(prefix.size());
  }
  if (auto known = KnownUnit(unit)) return *known + power;
  if (!power.empty()) return std::nullopt;
  std::size_t at = 0;
  const bool han = IsHan(DecodeNext(unit, &at).point);
  if ((!apart && !han) || !AreHarmlessWords(unit)) return std::nullopt;
  return std::string();
}

}  // namespace aha::rewards::math
