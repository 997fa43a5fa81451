#pragma once
/// Sets of real numbers: intervals, points, unions, and what inequalities in one unknown describe.

#include <optional>
#include <vector>

#include "rewards/verifiers/math/tree.h"
#include "rewards/verifiers/math/work.h"

namespace aha::rewards::math {

struct Interval {
  std::optional<Node> low, high;  ///< nothing: without bound
  bool low_open = true, high_open = true;
};
/// Sorted, apart from one another.
using SolutionSet = std::vector<Interval>;

/// Whether `node` reads as a set of reals in a way that asks for it: unions, intersections,
/// differences, the reals, intervals, finite sets, {x | ...}, inequalities in one unknown with both
/// sides of first degree, and lists of those joined by "and" or "or". A bare (a, b) is an open
/// interval here. nullopt: it does not.
std::optional<SolutionSet> ToSolutionSet(const Node& node, Work* work);

/// A node of a kind that only means a set of reals.
bool MeansSolutionSet(const Node& node);

}  // namespace aha::rewards::math
