#include "rewards/verifiers/math/point.h"

namespace aha::rewards::math {

PointSource::PointSource(std::string_view reference, std::string_view answer)
    : state_(0xCBF29CE484222325ULL) {
  for (const std::string_view text : {reference, std::string_view("\0", 1), answer}) {
    for (const char c : text)
      state_ = (state_ ^ static_cast<unsigned char>(c)) * 0x100000001B3ULL;
  }
}

// SplitMix64.
std::uint64_t PointSource::Bits() {
  std::uint64_t z = state_ += 0x9E3779B97F4A7C15ULL;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
  return z ^ (z >> 31);
}

Point PointSource::Next(const std::vector<std::string>& symbols) {
  Point point;
  point.reserve(symbols.size());
  for (const std::string& symbol : symbols) {
    const std::uint64_t bits = Bits();
    auto value = static_cast<std::int64_t>((1U << 14) + bits % ((8U << 16) - (1U << 14)));
    if (drawn_ > 0 && (bits >> 63) != 0) value = -value;
    point.push_back({symbol, value});
  }
  ++drawn_;
  return point;
}

}  // namespace aha::rewards::math
