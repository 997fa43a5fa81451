#include "rewards/verifiers/code/judge.h"

#include <signal.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <optional>

#include "rewards/text.h"
#include "rewards/verifiers/code/cpp.h"
#include "rewards/verifiers/code/python.h"

namespace aha::rewards::code {
namespace {

using sandbox::End;
using sandbox::Run;
using sandbox::RunResult;

using Clock = std::chrono::steady_clock;

constexpr std::size_t kReasonBytes = 600;

struct Fault {
  Verdict verdict;
  std::string why;
};

std::string_view LastLine(std::string_view text) {
  const auto end = text.find_last_not_of(" \t\r\n");
  if (end == std::string_view::npos) return {};
  text = text.substr(0, end + 1);
  const auto begin = text.rfind('\n');
  return begin == std::string_view::npos ? text : text.substr(begin + 1);
}

// How Python and C++ programs end that were refused memory. A program may say so untruly: it then
// has one verdict that earns nothing instead of another.
bool SaysOutOfMemory(std::string_view err) {
  const std::string_view last = LastLine(err);
  return last.starts_with("MemoryError") || last.find("std::bad_alloc") != std::string_view::npos;
}

// What the way it ended says; nullopt: it ended well.
std::optional<Fault> EndFault(const RunResult& r, const sandbox::Limits& limits) {
  const auto fault = [](Verdict verdict, std::string why) {
    return Fault{verdict, std::move(why)};
  };
  switch (r.end) {
    case End::kWallLimit:
      return fault(Verdict::kTimeLimit, fmt::format("not ended after {} ms", limits.wall_ms));
    case End::kCpuLimit:
      return fault(Verdict::kTimeLimit,
                   fmt::format("more than {} ms of processor time", limits.cpu_ms));
    case End::kMemoryLimit:
      return fault(Verdict::kMemoryLimit, fmt::format("more than {} MiB", limits.memory >> 20));
    case End::kOutputLimit:
      return fault(Verdict::kOutputLimit,
                   fmt::format("more than {} bytes of output", limits.output));
    case End::kExited:
      if (r.code == 0) return std::nullopt;
      if (SaysOutOfMemory(r.err)) return fault(Verdict::kMemoryLimit, std::string(LastLine(r.err)));
      return fault(Verdict::kRuntimeError,
                   fmt::format("exit code {}: {}", r.code, LastLine(r.err)));
    case End::kSignalled:
      if (SaysOutOfMemory(r.err)) return fault(Verdict::kMemoryLimit, std::string(LastLine(r.err)));
      if (r.code == SIGXFSZ) return fault(Verdict::kOutputLimit, "a file grew too large");
      return fault(Verdict::kRuntimeError, fmt::format("killed by signal {} ({}) {}", r.code,
                                                       strsignal(r.code), LastLine(r.err)));
  }
  return std::nullopt;
}

class Session {
 public:
  Session(const Rules& rules,
          const Reference& reference,
          std::string_view program,
          sandbox::Slot* slot)
      : rules_(rules), reference_(reference), program_(program), slot_(*slot) {}

  Result<Judgement> Run() {
    Judgement out;
    out.total = reference_.tests.size() + reference_.calls.size();
    if (reference_.language == Language::kCpp) {
      // One program for the tests, another, with a main of ours, for the calls.
      if (!reference_.tests.empty()) {
        AHA_TRY(Compile("", &out));
        if (out.verdict == Verdict::kCompileError) return out;
      }
    }
    for (const OutputCase& test : reference_.tests) {
      if (Done(out)) break;
      AHA_ASSIGN(const auto fault, RunTest(test));
      Count("test", fault, &out);
    }
    if (reference_.language == Language::kCpp && !reference_.calls.empty() && !Done(out)) {
      AHA_TRY(Compile(reference_.function, &out));
      if (out.verdict == Verdict::kCompileError) return out;
    }
    for (const CallCase& call : reference_.calls) {
      if (Done(out)) break;
      AHA_ASSIGN(const auto fault, RunCall(call));
      Count("call", fault, &out);
    }
    return out;
  }

 private:
  [[nodiscard]] bool Done(const Judgement& out) const {
    return out.verdict == Verdict::kCompileError ||
           (rules_.stop_at_failure && out.verdict != Verdict::kAccepted);
  }

  void Count(std::string_view kind, const std::optional<Fault>& fault, Judgement* out) {
    out->longest_ms = longest_ms_;
    ++number_;
    if (!fault) {
      ++out->passed;
    } else if (out->verdict == Verdict::kAccepted) {
      out->verdict = fault->verdict;
      out->reason = fmt::format("{}: {} {} of {}: {}", Name(fault->verdict), kind, number_,
                                out->total, fault->why.substr(0, kReasonBytes));
    }
  }

  Result<RunResult> Timed(const sandbox::Run& run) {
    const auto start = Clock::now();
    auto result = slot_.Execute(run);
    const std::chrono::duration<double, std::milli> taken = Clock::now() - start;
    longest_ms_ = std::max(longest_ms_, taken.count());
    return result;
  }

  // Runs within the limits and within what is left of the item's time.
  Result<RunResult> Execute(sandbox::Run run, std::optional<Fault>* fault) {
    run.limits = rules_.limits;
    run.limits.result = rules_.limits.output;
    for (const auto& [name, contents] : run.files)
      run.limits.tmp += contents.size() + 8192;  // ours do not count
    if (used_ms_ >= rules_.item_ms) {
      *fault = Fault{Verdict::kTimeLimit,
                     fmt::format("{} ms for all test cases are used up", rules_.item_ms)};
      return RunResult{};
    }
    run.limits.wall_ms = std::min(run.limits.wall_ms, rules_.item_ms - used_ms_);
    AHA_ASSIGN(RunResult result, Timed(run));
    used_ms_ += result.wall_us / 1000;
    *fault = EndFault(result, run.limits);
    if (*fault && result.result == std::string_view(&kCompileError, 1)) {
      *fault = Fault{Verdict::kCompileError, std::string(LastLine(result.err))};
    }
    return result;
  }

  Result<std::optional<Fault>> RunTest(const OutputCase& test) {
    std::optional<Fault> fault;
    AHA_ASSIGN(const RunResult result,
               Execute(reference_.language == Language::kCpp ? CppProgram(test.input)
                                                             : PythonScript(program_, test.input),
                       &fault));
    if (fault) return fault;
    std::string difference = OutputFault(result.out, test.output, rules_.comparison);
    if (!difference.empty()) fault = Fault{Verdict::kWrongAnswer, std::move(difference)};
    return fault;
  }

  Result<std::optional<Fault>> RunCall(const CallCase& call) {
    std::optional<Fault> fault;
    std::string arguments;  // borrowed by the run
    if (reference_.language == Language::kCpp) arguments = ToMarshal(call.arguments);
    AHA_ASSIGN(const RunResult result,
               Execute(reference_.language == Language::kCpp
                           ? CppCall(arguments)
                           : PythonCall(program_, reference_.function, call.arguments),
                       &fault));
    if (fault) return fault;
    if (result.result.empty() || result.result[0] == kNoFunction)
      return Fault{Verdict::kRuntimeError, "it ended before its function returned"};
    if (result.result[0] != kReturned)
      return Fault{Verdict::kWrongAnswer, "the returned value is no plain value"};
    const auto value = FromMarshal(std::string_view(result.result).substr(1));
    if (!value) return Fault{Verdict::kWrongAnswer, "the returned value is no plain value"};
    if (SameValue(*value, call.returns, rules_.comparison)) return std::optional<Fault>();
    return Fault{Verdict::kWrongAnswer, fmt::format("returned {} instead of {}", Abridged(*value),
                                                    Abridged(call.returns))};
  }

  Status Compile(const std::string& function, Judgement* out) {
    sandbox::Run run = CppCompilation(program_, function, rules_.cpp_standard, slot_.compiler());
    run.limits = rules_.compile_limits;
    AHA_ASSIGN(const RunResult result, Timed(run));
    out->longest_ms = longest_ms_;
    longest_ms_ = 0;  // from here on that of the test cases
    if (result.kept) return {};
    out->verdict = Verdict::kCompileError;
    const auto fault = EndFault(result, run.limits);
    std::string why = "no program came of it";
    if (fault && result.end == End::kExited) {
      why = result.err.substr(0, kReasonBytes);
    } else if (fault) {
      why = "the compiler was stopped: " + fault->why;
    }
    out->passed = 0;
    out->reason = "CE: " + why;
    return {};
  }

  const Rules& rules_;
  const Reference& reference_;
  const std::string_view program_;
  sandbox::Slot& slot_;
  std::uint64_t used_ms_ = 0;
  double longest_ms_ = 0;
  std::size_t number_ = 0;
};

}  // namespace

std::string_view Name(Verdict verdict) {
  constexpr std::array<std::string_view, 7> kNames = {"AC", "WA", "RE", "TLE", "MLE", "OLE", "CE"};
  return kNames[static_cast<std::size_t>(verdict)];
}

Result<Judgement> Judge(const Rules& rules,
                        const Reference& reference,
                        std::string_view program,
                        sandbox::Slot* slot) {
  return Session(rules, reference, program, slot).Run();
}

}  // namespace aha::rewards::code
