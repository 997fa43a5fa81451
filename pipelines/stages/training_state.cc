#include "pipelines/stages/training_state.h"

#include <algorithm>

#include "base/log.h"
#include "policy/checkpoint/checkpoint.h"

namespace aha::pipelines {
namespace {

constexpr char kOptimizerFile[] = "optimizer.safetensors";
constexpr char kBuffersFile[] = "buffers.safetensors";
constexpr char kReferenceFile[] = "reference.safetensors";

std::vector<policy::NamedTensor> AllTensors(const policy::Policy& policy) {
  std::vector<policy::NamedTensor> all;
  for (const policy::NamedTensor& p : policy.parameters()) all.push_back({p.name, p.value.detach()});
  all.insert(all.end(), policy.buffers().begin(), policy.buffers().end());
  return all;
}

Status CopyInto(const std::vector<policy::NamedTensor>& from, const std::vector<policy::NamedTensor>& to, const std::filesystem::path& file) {
  for (const policy::NamedTensor& slot : to) {
    const auto it = std::find_if(from.begin(), from.end(), [&](const auto& t) { return t.name == slot.name; });
    if (it == from.end() || it->value.sizes() != slot.value.sizes()) {
      return Fail(Code::kCorrupt, "{}: tensor {} is missing or of another shape", file.string(), slot.name);
    }
    slot.value.detach().copy_(it->value);
  }
  return {};
}

}  // namespace

TrainingState::TrainingState(const std::filesystem::path& folder, policy::Policy& policy, policy::AdamW& optimizer,
                             policy::Policy* reference, std::vector<std::string> append_only)
    : state_(folder), policy_(policy), optimizer_(optimizer), reference_(reference), append_only_(std::move(append_only)) {}

Result<std::uint64_t> TrainingState::Resume() {
  AHA_ASSIGN(const auto commit, state_.Latest());
  AHA_TRY(state_.Restore(commit, append_only_));
  if (!commit) return std::uint64_t{0};
  const std::filesystem::path folder = state_.FolderOf(*commit);
  AHA_ASSIGN(const auto optimizer, policy::LoadTensors(folder / kOptimizerFile));
  AHA_TRY(optimizer_.Restore(optimizer, policy_));
  AHA_ASSIGN(const auto buffers, policy::LoadTensors(folder / kBuffersFile));
  AHA_TRY(CopyInto(buffers, policy_.buffers(), folder / kBuffersFile));
  if (reference_ != nullptr) {
    AHA_ASSIGN(const auto reference, policy::LoadTensors(folder / kReferenceFile));
    AHA_TRY(CopyInto(reference, AllTensors(*reference_), folder / kReferenceFile));
  }
  spdlog::info("goes on after step {}, the last commit", commit->step());
  return commit->step();
}

Status TrainingState::Commit(std::uint64_t finished_steps) {
  return state_.Commit(
      finished_steps,
      [&](const std::filesystem::path& aside) -> Status {
        AHA_TRY(policy::SaveTensors(optimizer_.State(), aside / kOptimizerFile));
        AHA_TRY(policy::SaveTensors(policy_.buffers(), aside / kBuffersFile));
        if (reference_ != nullptr) AHA_TRY(policy::SaveTensors(AllTensors(*reference_), aside / kReferenceFile));
        return {};
      },
      append_only_);
}

}  // namespace aha::pipelines
