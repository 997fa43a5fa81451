#pragma once
/// What a training stage must find again after a SIGKILL: masters, moments, gate biases, reference.

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>

#include "base/result.h"
#include "pipelines/run/metrics_writer.h"
#include "pipelines/run/stage_state.h"
#include "policy/model/weights.h"
#include "policy/training/optimizer.h"

namespace aha::pipelines {

/// The training state of a stage and its commits. All borrowed; `reference` may be null.
class TrainingState {
 public:
  TrainingState(const std::filesystem::path& folder,
                const policy::cpu::Cpu& cpu,
                policy::Weights& weights,
                policy::AdamW& optimizer,
                policy::Weights* reference,
                std::vector<std::string> append_only);

  /// Brings folder, policy, optimizer and reference back to the last commit; returns the steps that
  /// were finished then, 0 without one. Kernels must run with the thread count they ran with then.
  Result<std::uint64_t> Resume();
  /// kInternal, and the last commit stays in force, when a weight is not finite; names its tensor.
  Status Commit(std::uint64_t finished_steps);

  /// Where to go back to: the last commit, or what the stage began with ("" is random weights).
  [[nodiscard]] std::string LastGood(const std::filesystem::path& init) const;
  /// `error` of the step after `finished_steps`, with where to go back to.
  [[nodiscard]] Error AtStep(std::uint64_t finished_steps,
                             const Error& error,
                             const std::filesystem::path& init) const;

 private:
  StageState state_;
  const policy::cpu::Cpu& cpu_;
  policy::Weights& weights_;
  policy::AdamW& optimizer_;
  policy::Weights* reference_;
  std::vector<std::string> append_only_;
  std::filesystem::path folder_;
  std::uint64_t committed_ = 0;  // steps
};

}  // namespace aha::pipelines
