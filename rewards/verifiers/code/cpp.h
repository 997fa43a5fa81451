#pragma once
/// How a C++ program is compiled and run.

#include <string>
#include <string_view>

#include "rewards/sandbox/run.h"
#include "rewards/verifiers/code/reference.h"

namespace aha::rewards::code {

/// Compiles `program` with g++ (-O2, linked statically) and keeps it in the slot. With a
/// `function`, main calls that with arguments from standard input and sends what it returned, in
/// the form of PythonCall; a main of the program's own is renamed. Integers, floating point, bool,
/// char, string, vector, array, list, deque, set, map, pair, tuple and optional of them are known.
/// `compiler` is its path in the sandbox.
sandbox::Run CppCompilation(std::string_view program,
                            const std::string& function,
                            const std::string& standard,
                            const std::string& compiler);

/// A run of the program that was kept, with `input`, which is borrowed.
sandbox::Run CppProgram(std::string_view input);
/// The same for a call; `arguments` is ToMarshal's text of them, borrowed.
sandbox::Run CppCall(std::string_view arguments);

}  // namespace aha::rewards::code
