#pragma once
/// Values for symbols: where two expressions are compared.

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace aha::rewards::math {

/// A symbol's value, numerator / 2^16.
struct Setting {
  std::string symbol;
  std::int64_t value = 0;
};
inline constexpr int kSettingShift = 16;
using Point = std::vector<Setting>;

/// Drawn from what the texts are, so that the same answer meets the same points everywhere. Values
/// have 19 random bits, are between 1/4 and 8 in size and, from the second point on, of either
/// sign.
class PointSource {
 public:
  PointSource(std::string_view reference, std::string_view answer);
  Point Next(const std::vector<std::string>& symbols);
  std::uint64_t Bits();

 private:
  std::uint64_t state_;
  int drawn_ = 0;
};

}  // namespace aha::rewards::math
