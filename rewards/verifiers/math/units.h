#pragma once
/// Words and units around a number: what may be left out, and what changes the value.

#include <optional>
#include <string>
#include <string_view>

namespace aha::rewards::math {

/// Reads what stands behind a number (in normalised text) as its unit: "cm", " hours", "^2" after a
/// unit, " apples left", "个". The canonical name of a unit of measure, "" for other words, nullopt
/// when it is no unit: a variable ("5x"), or a word that changes the number ("5 million").
std::optional<std::string> ReadUnit(std::string_view behind);

/// Whether the words before or behind a number leave its value alone: "There are", but not "minus",
/// "half of" or any mathematics.
bool AreHarmlessWords(std::string_view words);

}  // namespace aha::rewards::math
