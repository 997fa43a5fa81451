#pragma once
/// From LaTeX, plain text or a mixture of both to tokens that the parser reads.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace aha::rewards::math {

/// Signs that are no character of the text.
inline constexpr char32_t kGroupOpen = 0xE000;   ///< TeX's {
inline constexpr char32_t kGroupClose = 0xE001;  ///< TeX's }
inline constexpr char32_t kNewRow = 0xE002;      ///< TeX's double backslash

struct Token {
  enum class Kind : std::uint8_t {
    kEnd,
    kNumber,   ///< `text`: digits, at most one point; `exponent` of ten
    kWord,     ///< `text`: a run of letters
    kCommand,  ///< `text`: a LaTeX command that the parser knows; begin:NAME and end:NAME
    kSign,     ///< `sign`: an operator or bracket, one spelling for each meaning
  };
  Kind kind = Kind::kEnd;
  bool space = false;    ///< a blank stands before it
  bool upright = false;  ///< inside \text{} or the like: a word, not a product of letters
  bool grouped = false;  ///< a number with thousands commas
  char32_t sign = 0;
  std::int32_t exponent = 0;
  std::string text;
};

struct Tokens {
  std::vector<Token> list;  ///< ends with kEnd
  /// Braces pair up, nest no deeper than 64, and what LaTeX needs is there.
  bool sound = true;
  bool too_large = false;  ///< more than kMostTokens
  bool grouped = false;    ///< some number has thousands commas
};

inline constexpr std::size_t kMostTokens = 8192;

/// Any text (NFKC code points, see Flatten in normalize.h). With `join_groups` 1,234 is one number,
/// else three tokens. Linear.
Tokens Tokenize(std::u32string_view text, bool join_groups);

}  // namespace aha::rewards::math
