#pragma once
/// What a program is judged by: a reference of the `code` reward, read from JSON.

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "rewards/verifiers/code/value.h"

namespace aha::rewards::code {

enum class Language { kPython, kCpp };

/// Standard input, and the standard output that is right.
struct OutputCase {
  std::string input, output;
};
/// Arguments, and the value that is right.
struct CallCase {
  Value arguments;  ///< a list
  Value returns;
};

struct Reference {
  Language language = Language::kPython;
  std::vector<OutputCase> tests;
  std::string function;
  std::vector<CallCase> calls;
};

/// Reads `{"language": "python"|"cpp", "tests": [{"stdin", "stdout"}], "function": NAME,
/// "calls": [{"args": [...], "returns": ...}]}`. `fallback` is the language of references that name
/// none; empty: they are refused. kInvalidArgument, with the place, for everything that is not so:
/// no test case at all, a missing or repeated key, unknown keys inside a case, a function that is
/// no identifier, numbers beyond double's range, more than kMostValues values, nesting beyond
/// kDeepest, more than 64 MiB. Integers up to that range (308 digits) keep their exact value.
Result<Reference> ParseReference(std::string_view json, std::string_view fallback);

}  // namespace aha::rewards::code
