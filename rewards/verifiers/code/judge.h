#pragma once
/// Runs a program against its test cases.

#include <cstddef>
#include <string>
#include <string_view>

#include "base/result.h"
#include "rewards/sandbox/pool.h"
#include "rewards/verifiers/code/compare.h"
#include "rewards/verifiers/code/reference.h"

namespace aha::rewards::code {

enum class Verdict {
  kAccepted,
  kWrongAnswer,
  kRuntimeError,
  kTimeLimit,
  kMemoryLimit,
  kOutputLimit,
  kCompileError,
};
/// AC, WA, RE, TLE, MLE, OLE, CE.
std::string_view Name(Verdict verdict);

struct Rules {
  sandbox::Limits limits;  ///< of one test case
  sandbox::Limits compile_limits;
  std::uint64_t item_ms = 60000;  ///< wall time of all test cases together
  Comparison comparison;
  std::string cpp_standard = "c++20";
  bool stop_at_failure = true;  ///< the test cases behind the first that fails are not run
};

struct Judgement {
  Verdict verdict = Verdict::kAccepted;  ///< of the first test case that failed
  std::size_t passed = 0, total = 0;
  double longest_ms = 0;  ///< of one run, or of compiling where that failed
  std::string reason;     ///< which test case and why, in a line; empty when accepted
};

/// Judges in `slot`. An error says that the sandbox failed, never that the program did.
Result<Judgement> Judge(const Rules& rules,
                        const Reference& reference,
                        std::string_view program,
                        sandbox::Slot* slot);

}  // namespace aha::rewards::code
