#pragma once
/// From the text of an answer to its syntax tree.

#include <optional>
#include <string>
#include <string_view>

#include "rewards/verifiers/math/tree.h"

namespace aha::rewards::math {

struct Parsed {
  std::optional<Node>
      tree;           ///< nothing: it is no mathematics that this parser knows, nor plain words
  bool sound = true;  ///< braces and brackets pair up and LaTeX commands have their arguments
  bool too_large = false;     ///< nested too deep or too long
  bool mathematical = false;  ///< commands, powers or indices are in it: not plain words
  bool grouped = false;       ///< a comma was read as a thousands comma
};

/// LaTeX, plain mathematics or a mixture, as Flatten makes it (normalize.h). What is nothing but
/// words is one kText node. With `join_groups` 1,234 is a number, else a list. Linear but for
/// nesting, which is bounded.
Parsed ParseAnswer(std::u32string_view text, bool join_groups);

}  // namespace aha::rewards::math
