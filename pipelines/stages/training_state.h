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
  TrainingState(const std::filesystem::path& folder, const policy::cpu::Cpu& cpu, policy::Weights& weights,
                policy::AdamW& optimizer, policy::Weights* reference, std::vector<std::string> append_only);

  /// Brings folder, policy, optimizer and reference back to the last commit; returns the steps that
  /// were finished then, 0 without one. Kernels must run with the thread count they ran with then.
  Result<std::uint64_t> Resume();
  Status Commit(std::uint64_t finished_steps);

 private:
  StageState state_;
  const policy::cpu::Cpu& cpu_;
  policy::Weights& weights_;
  policy::AdamW& optimizer_;
  policy::Weights* reference_;
  std::vector<std::string> append_only_;
};

}  // namespace aha::pipelines
