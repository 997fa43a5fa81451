#pragma once
/// The words of mathematics: LaTeX commands and the names of functions and letters.

#include <optional>
#include <string_view>

namespace aha::rewards::math {

/// What a LaTeX command is to the lexer.
enum class CommandKind : unsigned char {
  kUnknown,
  kSign,         ///< stands for one sign
  kBlank,        ///< spacing
  kNothing,      ///< layout: \left, \displaystyle
  kTransparent,  ///< its argument counts: \boxed, \mathbf
  kUpright,      ///< its argument is words: \text, \mathrm
  kParsed,       ///< the parser knows it: \frac, \sqrt
  kName,         ///< a function, a Greek letter or a constant, as a word
};
struct CommandMeaning {
  CommandKind kind = CommandKind::kUnknown;
  char32_t sign = 0;
};
CommandMeaning MeaningOf(std::string_view command);

/// The one name of a function ("arcsin" and "asin" are "asin"); nullopt: no function.
std::optional<std::string_view> FunctionName(std::string_view word);

/// Names spelled out that stand for one symbol: alpha, theta, ...
bool IsLetterName(std::string_view word);

}  // namespace aha::rewards::math
