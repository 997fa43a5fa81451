#pragma once
/// Where a number ends in a line of text.

#include <cstddef>
#include <string_view>

namespace aha::rewards::math {

/// Moves `*at` behind the longest number that begins there in normalised text: -5, +5, .5,
/// 1,234.5, 6.02e23, 6.02*10^23, 10^6, 3/4,
/// (-3)/4, 2 3/4, each with or without %. False: none begins there, or one whose denominator is
/// written 0.
bool FindNumber(std::string_view text, std::size_t* at);

}  // namespace aha::rewards::math
