#pragma once
/// Whether two expressions are the same: exactly where that can be told, else by rigorous
/// enclosures at points that nobody can foresee.

#include <string>
#include <vector>

#include "rewards/verifiers/math/tree.h"
#include "rewards/verifiers/math/work.h"

namespace aha::rewards::math {

enum class Sameness : std::uint8_t { kSame, kDifferent, kUndefined, kTooLarge, kUnknown };

struct Judgement {
  Sameness sameness = Sameness::kUnknown;
  const char* rule = "";  ///< which method told: "exact", "numeric", "identity", ...
};

/// Are two expressions one value, or one function of their symbols?
///  - Rational numbers are compared exactly.
///  - Rational expressions are compared modulo a prime above 2^62 drawn from both texts.
///  - All others by Arb's balls: disjoint balls prove a difference; balls that overlap at a
///  precision which covers every
///    magnitude on the way (with 128 bits to spare) are taken as equal. With symbols this is asked
///    at several points, of both signs; where the reference leaves the real numbers and does not
///    write i, a point tells nothing.
/// Undefined values (1/0) equal nothing.
Judgement SameExpression(const Node& reference, const Node& answer, Work* work);

/// Is `answer`, without symbols, within the reference's last written digit? The reference is value
/// / 10^decimals. Half away from zero: 2.45 is 2.5, 2.55 is not.
Judgement RoundsTo(const Node& reference, std::int64_t decimals, const Node& answer, Work* work);

/// Is `answer`, a decimal number, the `reference` rounded (half away from zero) or cut at the digit
/// that stands for 10^-decimals? Not where the reference's own decimals end (1/8): its value is
/// wanted then. False, too, where it cannot be told.
bool RoundsOrCutsTo(const Node& reference, const Node& answer, std::int64_t decimals, Work* work);

/// The sign of an expression without symbols: -1, 0, 1; nothing when it has none. Zero is told like
/// equality.
bool SignOf(const Node& node, Work* work, int* sign);

/// The constant c with reference = c * answer everywhere; its sign. 0: there is none.
int RatioSign(const Node& reference, const Node& answer, Work* work);

}  // namespace aha::rewards::math
