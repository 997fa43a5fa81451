#pragma once
/// Numbers written with Chinese characters.

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace aha::rewards::math {

/// A numeral read from the front of a text.
struct HanNumeral {
  std::string top;       ///< decimal digits, a point where there is 点
  std::string bottom;    ///< of 分之, else empty
  bool percent = false;  ///< 百分之
  bool negative = false;
  std::size_t length = 0;  ///< code points
};

/// 一百二十三, 三万零五, 二〇二五, 三点一四, 三分之二, 二又三分之一, 百分之五十, 负五; the longest
/// that begins `text`. At most 64 code points.
std::optional<HanNumeral> ReadHanNumeral(std::u32string_view text);

}  // namespace aha::rewards::math
