#pragma once
/// What trees are brought to before they are compared.

#include <optional>
#include <string>

#include "rewards/verifiers/math/tree.h"

namespace aha::rewards::math {

/// a ± b becomes the list a + b, a - b; inside a list or set it is spliced in. Upper and lower
/// signs go together.
Node ExpandSigns(Node node);

/// A number as it is written.
struct Literal {
  std::optional<std::int64_t>
      decimals;                  ///< the last digit stands for 10^-decimals, where there is a point
  std::int64_t significant = 0;  ///< digits from the first that is not 0
};
std::optional<Literal> AsLiteral(const Node& node);

/// "x = v" and "v = x", "area = 12", "f(x) = v", "3*4 = 12": what is named and its value.
struct Named {
  std::string name;  ///< empty: sides that are all constant
  const Node* value = nullptr;
  bool words = false;  ///< the name is words
};
std::optional<Named> TakeName(const Node& node);

/// a - b.
Node Subtract(const Node& a, const Node& b);

}  // namespace aha::rewards::math
