#pragma once
/// The classes of characters that pre-tokenisers tell apart, as the Oniguruma inside Hugging Face
/// `tokenizers` has them (Unicode 16), whatever Unicode the libraries of this machine know.

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace aha::policy {

/// One bit each, so that a set of classes is a mask. Every character has exactly one.
enum CharClass : std::uint8_t {
  kLetter = 1,       ///< \p{L}
  kMark = 2,         ///< \p{M}
  kNumber = 4,       ///< \p{N}
  kPunctuation = 8,  ///< \p{P}
  kSymbol = 16,      ///< \p{S}
  kSpace = 32,       ///< \s; line ends excepted
  kLineEnd = 64,     ///< \r and \n, which are \s too
  kOther = 128,      ///< everything else: controls, format characters, unassigned
};

/// A character at some place of a text: its class and how many bytes it has.
struct ClassedChar {
  std::uint8_t char_class;
  std::uint8_t length;
};

/// Class by code point, in two stages: blocks of 256, equal blocks stored once.
class UnicodeClasses {
 public:
  /// The one table, built at first use (well under a millisecond).
  static const UnicodeClasses& Get();

  [[nodiscard]] std::uint8_t Of(char32_t code) const {
    return classes_[(static_cast<std::size_t>(block_[code >> 8U]) << 8U) | (code & 0xFFU)];
  }
  [[nodiscard]] std::uint8_t OfAscii(std::uint8_t byte) const { return classes_[byte]; }

  /// The character at `at` of valid UTF-8.
  [[nodiscard]] ClassedChar At(const char* at) const {
    const auto byte = [at](std::size_t i) { return static_cast<std::uint8_t>(at[i]); };
    const std::uint8_t first = byte(0);
    if (first < 0x80) return {classes_[first], 1};
    const auto tail = [&](std::size_t i) { return static_cast<char32_t>(byte(i) & 0x3FU); };
    if (first < 0xE0) return {Of((char32_t{first & 0x1FU} << 6U) | tail(1)), 2};
    if (first < 0xF0) return {Of((char32_t{first & 0x0FU} << 12U) | (tail(1) << 6U) | tail(2)), 3};
    return {Of((char32_t{first & 0x07U} << 18U) | (tail(1) << 12U) | (tail(2) << 6U) | tail(3)), 4};
  }

 private:
  UnicodeClasses();
  std::array<std::uint16_t, 0x1100> block_{};
  std::vector<std::uint8_t> classes_;  // the first block is ASCII and Latin-1
};

}  // namespace aha::policy
