#pragma once
/// Rational expressions modulo a prime: whether two are one and the same, without expanding either.

#include <cstdint>

#include "rewards/verifiers/math/point.h"
#include "rewards/verifiers/math/tree.h"
#include "rewards/verifiers/math/work.h"

namespace aha::rewards::math {

/// A prime just above 2^62, drawn from `source`: nobody can prepare an answer for it.
std::uint64_t DrawPrime(PointSource* source);

/// The value of `node` with each symbol at a value drawn by its place in `residues`. Sums,
/// products, quotients and integer powers only: kNotExact for anything else. (x + y + z)^500 takes
/// as long as (x + y + z)^3.
Status EvaluateModular(const Node& node,
                       const std::vector<std::string>& symbols,
                       const std::vector<std::uint64_t>& residues,
                       std::uint64_t prime,
                       Work* work,
                       std::uint64_t* out);

}  // namespace aha::rewards::math
