#pragma once
/// Whether an answer is the reference.

#include "rewards/verifiers/math/answer.h"

namespace aha::rewards::math {

/// Equal text, or the same kind with equal contents:
///  - numbers by SameNumber; two different known units are different answers, a missing one is not;
///  - tuples item by item with equal brackets, sets in any order, a bare list as either;
///  - "x = v" and "v" are equal; "x = v" and "y = v" are not.
/// Not symmetric: precision and percent are the reference's.
bool SameAnswer(const Answer& reference, const Answer& answer);

}  // namespace aha::rewards::math
