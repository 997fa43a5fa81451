#pragma once
/// A stage is a function: a model folder in, a folder out, everything it does written in between.

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "pipelines/recipes/recipe.h"
#include "pipelines/run/event_file.h"
#include "pipelines/sampling/sampler.h"
#include "policy/training/optimizer.h"
#include "proto/recipe.pb.h"
#include "rewards/registry.h"
#include "rollout/coordinator.h"

namespace aha::pipelines {

struct Model;

/// What a stage is given. All of it is decided before the stage starts; nothing is read elsewhere.
struct StageIo {
  const proto::Recipe* recipe = nullptr;  ///< resolved
  const proto::Stage* stage = nullptr;    ///< of `recipe`
  std::filesystem::path recipe_folder;    ///< what paths in the recipe are relative to
  std::filesystem::path init;             ///< model folder, read only; empty for pretrain
  std::filesystem::path folder;           ///< the stage's own in the run directory
  std::map<std::string, std::filesystem::path> stages;  ///< folders of the stages before it
  const rewards::Registry* registry = nullptr;
  const policy::cpu::Cpu* cpu =
      nullptr;  ///< what to compute on; its number of threads changes no bit
  rollout::Coordinator* coordinator =
      nullptr;  ///< of the run's rollout workers; null: sample in this process
};

struct StageReport {
  std::filesystem::path
      checkpoint;               ///< what the stage made: a model folder; of reject: its data folder
  std::string sha256;           ///< of its weights; of reject: of its examples
  std::vector<Metric> metrics;  ///< of the last step
};

/// Runs a stage, going on from its last commit if it was cut. Afterwards `folder`/checkpoint (or
/// `folder`/data) is there, whole.
Result<StageReport> RunPretrain(const StageIo& io);
Result<StageReport> RunSft(const StageIo& io);
Result<StageReport> RunRl(const StageIo& io);
Result<StageReport> RunReject(const StageIo& io);
/// The one that `io.stage` asks for.
Result<StageReport> RunStage(const StageIo& io);

/// Who samples for a stage: engines on `model` itself, or the run's rollout workers, once as many
/// as the recipe asks for are there (kTimeout after `unit_timeout` names those that came). `model`
/// is borrowed.
Result<std::unique_ptr<Sampler>> MakeSampler(const StageIo& io,
                                             const Model& model,
                                             std::chrono::seconds unit_timeout);

/// "pretrain", "sft", "rl" or "reject".
std::string_view KindOf(const proto::Stage& stage);

/// Recipe messages as the rooms below take them.
policy::AdamWOptions AdamWOf(const proto::Optimizer& optimizer);
policy::Schedule ScheduleOf(const proto::Optimizer& optimizer, std::int64_t steps);

}  // namespace aha::pipelines
