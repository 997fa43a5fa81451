#pragma once
/// Worked arithmetic in a text: "3 + 4 = 7", "12 \\times 2 = 24", "9 minus 2 is 7", "3 加 4 得 7".

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace aha::rewards::math {

/// An equation whose sides are numbers put together by + - * / and brackets; at least one side has
/// something to work out ("7 = 7" is none).
struct WorkedStep {
  std::size_t end = 0;  ///< bytes of the text up to where it ends
  bool holds = false;  ///< exactly; where the right side is a decimal, after rounding to its places
  std::string canonical;  ///< the same for the same equation, however it is spelt
};

/// The steps of a text, by their ends. "a = b = c" is two. Operators are signs (+ - − * × · / ÷ and
/// LaTeX's \times, \cdot, \div) or words (plus, minus, times, "divided by"; 加, 减, 乘, 除以), what
/// says equal is = or a word (is, equals, makes; 得, 等于, 是). Numbers may have a thousands comma
/// and a decimal point. What has a name in it ("x + 3 = 7"), a power or a per cent sign is no step.
/// Any bytes will do. Linear, with numbers of at most 4096 bits.
std::vector<WorkedStep> FindSteps(std::string_view text);

}  // namespace aha::rewards::math
