#include "pipelines/stages/training_state.h"

#include <numeric>

#include "base/log.h"
#include "policy/checkpoint/checkpoint.h"

namespace aha::pipelines {
namespace {

constexpr char kOptimizerFile[] = "optimizer.safetensors";
constexpr char kBuffersFile[] = "buffers.safetensors";
constexpr char kReferenceFile[] = "reference.safetensors";

std::vector<std::size_t> AllTensors(const policy::Weights& weights) {
  std::vector<std::size_t> all(weights.tensors().size());
  std::iota(all.begin(), all.end(), std::size_t{0});
  return all;
}

}  // namespace

TrainingState::TrainingState(const std::filesystem::path& folder,
                             const policy::cpu::Cpu& cpu,
                             policy::Weights& weights,
                             policy::AdamW& optimizer,
                             policy::Weights* reference,
                             std::vector<std::string> append_only)
    : state_(folder),
      cpu_(cpu),
      weights_(weights),
      optimizer_(optimizer),
      reference_(reference),
      append_only_(std::move(append_only)),
      folder_(folder) {}

Result<std::uint64_t> TrainingState::Resume() {
  AHA_ASSIGN(const auto commit, state_.Latest());
  AHA_TRY(state_.Restore(commit, append_only_));
  if (!commit) return std::uint64_t{0};
  const std::filesystem::path folder = state_.FolderOf(*commit);
  AHA_ASSIGN(const policy::SafetensorsFile optimizer,
             policy::SafetensorsFile::Open(folder / kOptimizerFile));
  AHA_TRY(optimizer_.Restore(optimizer, cpu_, weights_));
  AHA_TRY(policy::RestoreTensors(weights_, weights_.selection_biases(), folder / kBuffersFile));
  if (reference_ != nullptr)
    AHA_TRY(policy::RestoreTensors(*reference_, AllTensors(*reference_), folder / kReferenceFile));
  spdlog::info("goes on after step {}, the last commit", commit->step());
  committed_ = commit->step();
  return commit->step();
}

Status TrainingState::Commit(std::uint64_t finished_steps) {
  if (const std::string tensor = policy::FirstNotFinite(weights_); !tensor.empty()) {
    return Fail(Code::kInternal,
                "{} holds NaN or infinity, so this is not committed; lower the learning rate",
                tensor);
  }
  AHA_TRY(state_.Commit(
      finished_steps,
      [&](const std::filesystem::path& aside) -> Status {
        AHA_TRY(policy::WriteSafetensors(aside / kOptimizerFile, optimizer_.State(),
                                         {{"format", "pt"}}));
        AHA_TRY(policy::SaveTensors(weights_, weights_.selection_biases(), aside / kBuffersFile));
        if (reference_ != nullptr)
          AHA_TRY(
              policy::SaveTensors(*reference_, AllTensors(*reference_), aside / kReferenceFile));
        return {};
      },
      append_only_));
  committed_ = finished_steps;
  return {};
}

std::string TrainingState::LastGood(const std::filesystem::path& init) const {
  if (committed_ > 0) return fmt::format("step {} in {}", committed_, (folder_ / "state").string());
  return init.empty() ? "none yet" : fmt::format("none yet, so {}", init.string());
}

Error TrainingState::AtStep(std::uint64_t finished_steps,
                            const Error& error,
                            const std::filesystem::path& init) const {
  return {error.code, fmt::format("step {}: {}; the last good checkpoint: {}", finished_steps + 1,
                                  error.message, LastGood(init))};
}

}  // namespace aha::pipelines
