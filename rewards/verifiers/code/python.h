#pragma once
/// How a Python program is run.

#include <string_view>

#include "rewards/sandbox/run.h"
#include "rewards/verifiers/code/reference.h"

namespace aha::rewards::code {

/// What the first byte of the result channel says; what follows kReturned is a marshalled value.
inline constexpr char kCompileError = 'C', kNoFunction = 'M', kReturned = 'R', kNotPlain = 'O';

/// A run of `program` as a script with `input`, which is borrowed.
sandbox::Run PythonScript(std::string_view program, std::string_view input);
/// A run of `program` that then calls `function`. What is right does not go in.
sandbox::Run PythonCall(std::string_view program,
                        const std::string& function,
                        const Value& arguments);

}  // namespace aha::rewards::code
