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

/// Drawn from what the texts are, so that the same answer meets the same points everywhere.
class PointSource {
 public:
  PointSource(std::string_view reference, std::string_view answer);
  /// Values have 19 random bits and are between 1/4 and 8 in size. The first point is positive;
  /// from then on the first two symbols meet every pair of signs by turns, the others either by
  /// chance.
  Point Next(const std::vector<std::string>& symbols);
  /// The same between 8 and 512: what differs only there, as |x + 20| and x + 20.
  Point Wide(const std::vector<std::string>& symbols);
  /// Natural numbers; the first symbol's go up by one from point to point.
  Point Whole(const std::vector<std::string>& symbols);
  std::uint64_t Bits();

 private:
  Point Signed(const std::vector<std::string>& symbols, std::int64_t least, std::int64_t most);

  std::uint64_t state_;
  int drawn_ = 0;
  std::int64_t whole_ = 0;
};

}  // namespace aha::rewards::math
