#pragma once
/// The reward `code`: programs judged by what they do, in a sandbox.

#include <chrono>
#include <memory>
#include <vector>

#include "rewards/config.h"
#include "rewards/reward.h"
#include "rewards/sandbox/pool.h"
#include "rewards/verifiers/code/judge.h"

namespace aha::rewards {

/// The completion's program (code/program.h) against the reference's cases (code/reference.h): 1
/// when all pass, else 0, or the share that passes. The note `verdict` is AC, WA, RE, TLE, MLE,
/// OLE, CE, or IE with a failure: the sandbox failed, twice, or none was free in time. A reference
/// that cannot be used is a BAD_REFERENCE failure. Time and memory are measured, so a verdict at a
/// limit may differ between runs; all else is a function of program and reference.
class CodeReward : public Reward {
 public:
  static std::vector<ConfigKey> Keys();
  /// Starts a sandbox; kInternal when this machine does not let it, unless the key allow_unsafe.
  /// Says once in the log what is in force.
  static Result<std::unique_ptr<Reward>> Make(const Config& config);

  [[nodiscard]] Outcome Score(const ScoreInput& input) const override;
  /// found, program, language, cases, verdict, passed, longest_ms, why; or fault. Runs the program.
  [[nodiscard]] std::vector<Finding> Explain(const ScoreInput& input) const override;

 private:
  CodeReward(const Config& config, std::unique_ptr<sandbox::Pool> pool);
  [[nodiscard]] Result<code::Judgement> JudgeOnce(const code::Reference& reference,
                                                  std::string_view program) const;

  const std::unique_ptr<sandbox::Pool> pool_;
  code::Rules rules_;
  bool fraction_ = false;
  std::string language_;
  std::chrono::milliseconds wait_{0};
};

}  // namespace aha::rewards
