#include "policy/tokenizer/unicode_class.h"

#include <algorithm>
#include <map>

namespace aha::policy {
namespace {

struct RangeStart {
  std::uint32_t first;
  CharClass char_class;
};
constexpr RangeStart kStarts[] = {
#include "policy/tokenizer/unicode_classes.inc"
};

using Block = std::array<std::uint8_t, 256>;

}  // namespace

UnicodeClasses::UnicodeClasses() {
  std::map<Block, std::uint16_t> known;
  const RangeStart* next = std::begin(kStarts);
  std::uint8_t now = kOther;
  for (std::uint32_t b = 0; b < block_.size(); ++b) {
    Block block;
    for (std::uint32_t i = 0; i < 256;) {
      const std::uint32_t code = b * 256 + i;
      while (next != std::end(kStarts) && next->first <= code)
        now = (next++)->char_class;
      const std::uint32_t last =
          next == std::end(kStarts) ? 256 : std::min(256U, next->first - b * 256);
      std::fill(block.begin() + i, block.begin() + last, now);
      i = last;
    }
    if (b == 0) block['\r'] = block['\n'] = kLineEnd;
    const auto [found, fresh] =
        known.emplace(block, static_cast<std::uint16_t>(classes_.size() / 256));
    if (fresh) classes_.insert(classes_.end(), block.begin(), block.end());
    block_[b] = found->second;
  }
}

const UnicodeClasses& UnicodeClasses::Get() {
  static const UnicodeClasses classes;
  return classes;
}

}  // namespace aha::policy
