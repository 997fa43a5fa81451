#pragma once
/// What kind of thing an answer is. Read from normalised text.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "rewards/verifiers/math/number.h"

namespace aha::rewards::math {

struct Answer {
  enum class Kind {
    kText,    ///< compared by `key`
    kNumber,  ///< a number with or without a unit
    kTuple,   ///< (a, b], [a, b), ...: order and brackets matter
    kSet,     ///< {a, b}: order does not matter
    kList,    ///< a, b or "a and b" without brackets: as a set or a tuple of whatever brackets
  };
  Kind kind = Kind::kText;
  std::string key;   ///< TextKey of the whole, the variable's name left out
  std::string name;  ///< x in "x = v" and "v = x"
  std::optional<Number> number;
  std::string unit;  ///< canonical; empty: none that is known
  char open = '\0';  ///< of a tuple
  char close = '\0';
  std::vector<Answer> items;
};

/// Reads normalised text. Anything can be read: what is nothing else is text. Lists of more than 64
/// items, and brackets nested deeper than 8, are text.
Answer ParseAnswer(std::string_view normalized);

/// The letter of a choice: "B", "(b)", "B.", "B) Paris", "option B". Upper case.
std::optional<char> ChoiceLetter(std::string_view normalized);

/// Whether a fraction whose denominator is zero is all there is: a reference like that is broken.
bool DividesByZero(std::string_view normalized);

}  // namespace aha::rewards::math
