#pragma once
/// Dates and times of day, which are neither differences, quotients nor ratios.

#include <optional>
#include <string>
#include <string_view>

namespace aha::rewards::math {

/// One spelling for "3:00 PM" and "3 p.m.", for "2024-03-01" and "2024/3/1", and for "3/1/2024"
/// (whether day or month is first is not known: the order stays). Nothing for other texts, such as
/// a time that may also be a ratio (12:30).
std::optional<std::string> MomentOf(std::string_view normalized);

}  // namespace aha::rewards::math
