#pragma once
/// Exact values of expressions without symbols.

#include "rewards/verifiers/math/rational.h"
#include "rewards/verifiers/math/tree.h"
#include "rewards/verifiers/math/work.h"

namespace aha::rewards::math {

/// Longest numerator or denominator, in bits: about 39,000 digits.
inline constexpr long kMostBits = 1 << 17;

/// The rational value of `node`. Sizes are estimated before anything is computed. kNotExact:
/// irrational, not real, or with symbols. Pure; no recursion deeper than the tree.
Status EvaluateExact(const Node& node, Work* work, Rational* out);

}  // namespace aha::rewards::math
