#include "rewards/verifiers/math/point.h"

namespace aha::rewards::math {
namespace {

constexpr std::int64_t kOne = std::int64_t{1} << kSettingShift;

}  // namespace

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
  return Signed(symbols, kOne / 4, 8 * kOne);
}

Point PointSource::Wide(const std::vector<std::string>& symbols) {
  return Signed(symbols, 8 * kOne, 512 * kOne);
}

Point PointSource::Signed(const std::vector<std::string>& symbols,
                          std::int64_t least,
                          std::int64_t most) {
  Point point;
  point.reserve(symbols.size());
  for (const std::string& symbol : symbols) {
    const std::uint64_t bits = Bits();
    auto value = least + static_cast<std::int64_t>(bits % static_cast<std::uint64_t>(most - least));
    const std::size_t at = point.size();
    const bool negative = at < 2 ? ((drawn_ >> at) & 1) != 0 : drawn_ > 0 && (bits >> 63) != 0;
    if (negative) value = -value;
    point.push_back({symbol, value});
  }
  ++drawn_;
  return point;
}

Point PointSource::Whole(const std::vector<std::string>& symbols) {
  if (whole_ == 0) whole_ = 3 + static_cast<std::int64_t>(Bits() % 16);
  Point point;
  point.reserve(symbols.size());
  for (const std::string& symbol : symbols) {
    const auto value = point.empty() ? whole_++ : 1 + static_cast<std::int64_t>(Bits() % 16);
    point.push_back({symbol, value * kOne});
  }
  return point;
}

}  // namespace aha::rewards::math
