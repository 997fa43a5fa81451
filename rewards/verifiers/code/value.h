#pragma once
/// Plain values as they go into a function and come out of it: exact types, numbers of any size.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace aha::rewards::code {

/// An integer of any size.
struct Integer {
  bool negative = false;
  std::vector<std::uint16_t> digits;  ///< base 2^15, least first, no zeros at the end
  bool operator==(const Integer&) const = default;
};

struct Value {
  enum class Kind : std::uint8_t {
    kNull,
    kBool,
    kInteger,
    kReal,
    kText,
    kList,  ///< JSON's array
    kTuple,
    kDict,   ///< keys and values by turns in `items`
    kOther,  ///< plain, but JSON has no such thing: bytes, set, complex, ...
  };
  Kind kind = Kind::kNull;
  bool boolean = false;
  double real = 0;
  Integer integer;
  std::string text;  ///< UTF-8
  std::vector<Value> items;
};

/// `-?[0-9]+` of at most 20,000 digits; else nullopt.
std::optional<Integer> ParseInteger(std::string_view decimal);
Integer MakeInteger(std::int64_t value);
double ToReal(const Integer& integer);
/// Whether `real` is a whole number with exactly this value.
bool SameNumber(const Integer& integer, double real);

/// At most this many values in one piece of data, nested at most so deep.
inline constexpr std::size_t kMostValues = 1'000'000;
inline constexpr std::size_t kDeepest = 64;

/// Python's marshal format, version 2: the arguments of a call.
std::string ToMarshal(const Value& value);
/// What marshal.dumps(x, 2) wrote, from an untrusted process: nullopt when it is not exactly one
/// plain value within the bounds.
std::optional<Value> FromMarshal(std::string_view bytes);

}  // namespace aha::rewards::code
