#include "rewards/verifiers/code/compare.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <optional>

#include <fmt/format.h>

namespace aha::rewards::code {
namespace {

constexpr std::string_view kBlanks = " \t\n\r\f\v";

// The next word, moved past; empty at the end.
std::string_view TakeWord(std::string_view* text) {
  const std::size_t begin = std::min(text->find_first_not_of(kBlanks), text->size());
  const std::size_t end = std::min(text->find_first_of(kBlanks, begin), text->size());
  const std::string_view word = text->substr(begin, end - begin);
  text->remove_prefix(end);
  return word;
}

std::optional<double> ParseReal(std::string_view word) {
  if (word.starts_with('+')) word.remove_prefix(1);
  double value = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
  if (error != std::errc() || end != word.data() + word.size() || !std::isfinite(value))
    return std::nullopt;
  return value;
}

bool Near(double a, double b, double tolerance) {
  if (!std::isfinite(a) || !std::isfinite(b)) return a == b;
  return std::fabs(a - b) <= tolerance * std::max(1.0, std::fabs(b));
}

bool SameWord(std::string_view word, std::string_view expected, const Comparison& how) {
  if (word == expected) return true;
  if (how.how != Comparison::How::kFloat) return false;
  const auto a = ParseReal(word), b = ParseReal(expected);
  return a && b && Near(*a, *b, how.tolerance);
}

std::string Shown(std::string_view text) {
  return text.empty() ? "nothing"
                      : fmt::format("'{}'{}", text.substr(0, 60), text.size() > 60 ? "..." : "");
}

std::string ExactFault(std::string_view output, std::string_view expected) {
  if (output == expected) return {};
  const auto at = static_cast<std::size_t>(
      std::mismatch(output.begin(), output.end(), expected.begin(), expected.end()).first -
      output.begin());
  return fmt::format("differs at byte {}: {} instead of {}", at, Shown(output.substr(at)),
                     Shown(expected.substr(at)));
}

bool IsNumber(const Value& value) {
  return value.kind == Value::Kind::kInteger || value.kind == Value::Kind::kReal;
}

double Real(const Value& value) {
  return value.kind == Value::Kind::kReal ? value.real : ToReal(value.integer);
}

bool SameNumberValue(const Value& a, const Value& b, const Comparison& how) {
  const bool a_whole = a.kind == Value::Kind::kInteger, b_whole = b.kind == Value::Kind::kInteger;
  if (a_whole && b_whole) return a.integer == b.integer;
  if (how.how == Comparison::How::kFloat) return Near(Real(a), Real(b), how.tolerance);
  if (a_whole) return SameNumber(a.integer, b.real);
  if (b_whole) return SameNumber(b.integer, a.real);
  return a.real == b.real;
}

std::string Decimal(const Integer& integer) {
  if (integer.digits.size() > 4) return {};  // beyond 60 bits: no key of a JSON object is meant
  std::int64_t value = 0;
  for (std::size_t i = integer.digits.size(); i > 0; --i)
    value = value * 32768 + integer.digits[i - 1];
  return std::to_string(integer.negative ? -value : value);
}

bool SameDict(const Value& returned, const Value& expected, const Comparison& how) {
  if (returned.items.size() != expected.items.size()) return false;
  std::map<std::string_view, const Value*> by_key;
  for (std::size_t i = 0; i + 1 < expected.items.size(); i += 2)
    by_key[expected.items[i].text] = &expected.items[i + 1];
  if (by_key.size() * 2 != expected.items.size()) return false;
  for (std::size_t i = 0; i + 1 < returned.items.size(); i += 2) {
    const Value& key = returned.items[i];
    if (key.kind != Value::Kind::kText && key.kind != Value::Kind::kInteger) return false;
    const auto found =
        by_key.find(key.kind == Value::Kind::kText ? key.text : Decimal(key.integer));
    if (found == by_key.end() || !SameValue(returned.items[i + 1], *found->second, how))
      return false;
    by_key.erase(found);  // {1: ..., "1": ...} is not {"1": ..., "2": ...}
  }
  return true;
}

}  // namespace

std::string OutputFault(std::string_view output, std::string_view expected, const Comparison& how) {
  if (how.how == Comparison::How::kExact) return ExactFault(output, expected);
  for (std::size_t number = 1;; ++number) {
    const std::string_view got = TakeWord(&output), want = TakeWord(&expected);
    if (got.empty() && want.empty()) return {};
    if (!SameWord(got, want, how))
      return fmt::format("word {} is {} instead of {}", number, Shown(got), Shown(want));
  }
}

bool SameValue(const Value& returned, const Value& expected, const Comparison& how) {
  using Kind = Value::Kind;
  if (IsNumber(returned) && IsNumber(expected)) return SameNumberValue(returned, expected, how);
  switch (expected.kind) {
    case Kind::kNull:
      return returned.kind == Kind::kNull;
    case Kind::kBool:
      return returned.kind == Kind::kBool && returned.boolean == expected.boolean;
    case Kind::kText:
      return returned.kind == Kind::kText && returned.text == expected.text;
    case Kind::kList:
      return (returned.kind == Kind::kList || returned.kind == Kind::kTuple) &&
             std::equal(returned.items.begin(), returned.items.end(), expected.items.begin(),
                        expected.items.end(),
                        [&](const Value& a, const Value& b) { return SameValue(a, b, how); });
    case Kind::kDict:
      return returned.kind == Kind::kDict && SameDict(returned, expected, how);
    default:
      return false;
  }
}

std::string Abridged(const Value& value) {
  switch (value.kind) {
    case Value::Kind::kNull:
      return "None";
    case Value::Kind::kBool:
      return value.boolean ? "True" : "False";
    case Value::Kind::kInteger: {
      const std::string decimal = Decimal(value.integer);
      return decimal.empty() ? "a large integer" : decimal;
    }
    case Value::Kind::kReal:
      return fmt::format("{}", value.real);
    case Value::Kind::kText:
      return Shown(value.text);
    case Value::Kind::kList:
      return fmt::format("a list of {}", value.items.size());
    case Value::Kind::kTuple:
      return fmt::format("a tuple of {}", value.items.size());
    case Value::Kind::kDict:
      return fmt::format("a dict of {}", value.items.size() / 2);
    case Value::Kind::kOther:
      return "a value that JSON has no name for";
  }
  return {};
}

}  // namespace aha::rewards::code
