#pragma once
/// Words and units around a number: what may be left out, and what changes the value.

#include <optional>
#include <string>
#include <string_view>

namespace aha::rewards::math {

/// The canonical name of a unit of measure or currency: "cm" for "centimetres", "cm^2" for "square
/// cm" and "cm^2", "km/h" for "km per hour". nullopt: none that is known.
std::optional<std::string> KnownUnit(std::string_view phrase);

/// The same for a word inside \text{}: K, C and their like are units there, letters elsewhere.
std::optional<std::string> KnownUprightUnit(std::string_view word);

/// How many of one unit another is, as a fraction: 1 m = 100/1 cm. False: they do not measure the
/// same, or are not known to.
bool Conversion(const std::string& from, const std::string& to, long* top, long* bottom);

/// Whether the words before or behind a number leave its value alone: "There are", but not "minus",
/// "half of" or any mathematics.
bool AreHarmlessWords(std::string_view words);

}  // namespace aha::rewards::math
