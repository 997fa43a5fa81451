#pragma once
/// Whether an answer is the reference.

#include <string>

#include "rewards/verifiers/math/tree.h"
#include "rewards/verifiers/math/work.h"

namespace aha::rewards::math {

struct Comparison {
  bool same = false;
  bool too_large = false;  ///< the budget ran out, or a value grew too large
  std::string rule;        ///< what decided: "exact", "rounded", "percent", "set", "unit", ...
};

/// Equal in kind and contents:
///  - values by SameExpression; where the reference is written with a decimal point, to its last
///  digit; percentages by the rule
///    of the `math` reward; two different known units are converted or different, a missing one is
///    not missed;
///  - tuples item by item with brackets that agree, sets in any order, a bare list as either;
///  - intervals, unions and inequalities in one unknown as sets of reals;
///  - equations and inequalities up to a constant factor and the order of their sides;
///  - "x = v" and "v" are equal; "x = v" and "y = v" are not;
///  - matrices cell by cell; a column and a tuple are the same vector;
///  - words as words.
/// Not symmetric: precision and percent are the reference's.
///
/// `decimals`: an exact reference whose decimals never end (1/3, \sqrt{2}) is also met by a decimal
/// answer with at least so many decimals and significant digits, when it is the reference rounded
/// or cut at the answer's last digit (of 16 or 17 significant digits, as a double is printed, at
/// the 15th); -1: by none.
Comparison Compare(const Node& reference, const Node& answer, Work* work, int decimals);

/// Whether the reference itself has values: its own fault otherwise. kDone, kUndefined or
/// kTooLarge.
Status CheckReference(const Node& reference, Work* work);

/// Sums and products of numbers that nobody has worked out: 3*4, 12 + 5, not 2/3 or 2^10.
bool IsUnevaluated(const Node& node);

/// A number written with a decimal point.
bool HasPoint(const Node& node);

/// A number as it is written: sign, digits, power of ten, percent.
bool IsLiteral(const Node& node);

}  // namespace aha::rewards::math
