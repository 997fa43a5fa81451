#include "pipelines/stages/preflight.h"

#include "pipelines/tasks/mixture.h"

namespace aha::pipelines {
namespace {

using Mixes = google::protobuf::RepeatedPtrField<proto::TaskMix>;

Status CheckMix(const Mixes& mixes, std::string_view key) {
  if (mixes.empty()) return {};
  const auto mixture = Mixture::Make(mixes, Split::kTrain);
  if (!mixture) return Fail(Code::kInvalidArgument, "{}: {}", key, mixture.error().message);
  return {};
}

Status CheckReward(const rewards::Registry& registry,
                   const std::string& name,
                   const std::string& config) {
  const auto made = registry.Make(name, config);
  if (!made) return Fail(Code::kInvalidArgument, "reward {}: {}", name, made.error().message);
  return {};
}

Status CheckStage(const proto::Stage& stage, const rewards::Registry* registry) {
  AHA_TRY(CheckMix(stage.pretrain().corpus().task(), "corpus.task"));
  AHA_TRY(CheckMix(stage.rl().prompts().task(), "prompts.task"));
  AHA_TRY(CheckMix(stage.reject().prompts().task(), "prompts.task"));
  AHA_TRY(CheckMix(stage.reject().general(), "general"));
  if (registry == nullptr) return {};
  for (const proto::RewardTerm& term : stage.rl().reward()) {
    AHA_TRY(CheckReward(*registry, term.name(), term.config()));
    if (term.isolate() && registry->Find(term.name())->file.empty()) {
      return Fail(Code::kInvalidArgument,
                  "reward {}: `isolate` is for plug-ins, this one is built in", term.name());
    }
  }
  for (const proto::Keep& keep : stage.reject().keep()) {
    AHA_TRY(CheckReward(*registry, keep.reward(), keep.config()));
  }
  return {};
}

}  // namespace

Status CheckNames(const proto::Recipe& recipe, const rewards::Registry& registry) {
  // Services elsewhere have rewards of their own, and say so when they are asked.
  const bool here = recipe.reward_endpoint().empty();
  for (const proto::Stage& stage : recipe.stage()) {
    const Status checked = CheckStage(stage, here ? &registry : nullptr);
    if (!checked) return Within(checked.error(), "stage {}", stage.name());
  }
  return {};
}

}  // namespace aha::pipelines
