#pragma once
/// Whether what a program said or returned is right. Pure; linear; runs outside the sandbox.

#include <string>
#include <string_view>

#include "rewards/verifiers/code/value.h"

namespace aha::rewards::code {

struct Comparison {
  enum class How {
    kExact,   ///< byte for byte; numbers in returned values by value
    kBlanks,  ///< words, whatever blanks and line ends stand between; values as for kExact
    kFloat,   ///< as kBlanks, and numbers within `tolerance`, absolute or relative
  };
  How how = How::kBlanks;
  double tolerance = 1e-6;
};

/// Empty when `output` is right, else the first difference in a line.
std::string OutputFault(std::string_view output, std::string_view expected, const Comparison& how);

/// Whether a returned value is the expected one (which came from JSON):
///  - true and false equal only themselves, never 1 and 0; null is None;
///  - numbers by value, so 2 and 2.0 are equal (JSON does not tell them apart), exactly or, for
///    kFloat, within the tolerance where one of them is a float; NaN equals nothing;
///  - text by its characters; text is never a number;
///  - an array equals a list or a tuple of equal items;
///  - an object equals a dict with the same keys in any order; a key that is an integer counts as
///    its decimal text, as JSON writers write it;
///  - what JSON has no name for (sets, bytes, complex numbers, objects of a class) equals nothing.
bool SameValue(const Value& returned, const Value& expected, const Comparison& how);

/// The value in a few characters, for people.
std::string Abridged(const Value& value);

}  // namespace aha::rewards::code
