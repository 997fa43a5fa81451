#include "pipelines/stages/run_recipe.h"

#include <sched.h>

#include <algorithm>
#include <chrono>
#include <fstream>

#include "base/content_hash.h"
#include "base/log.h"
#include "base/peak_memory.h"
#include "base/whole_file.h"
#include "pipelines/model/model_folder.h"
#include "pipelines/recipes/resolve.h"
#include "pipelines/run/stage_graph.h"
#include "pipelines/stages/examples.h"
#include "pipelines/stages/preflight.h"
#include "policy/checkpoint/checkpoint.h"

namespace aha::pipelines {
namespace {

namespace fs = std::filesystem;
using Inputs = std::vector<proto::StageRecord::Input>;

// Names of the rewards that a stage scores with.
std::vector<std::string> RewardNames(const proto::Stage& stage) {
  std::vector<std::string> names;
  for (const proto::RewardTerm& term : stage.rl().reward())
    names.push_back(term.name());
  for (const proto::Keep& keep : stage.reject().keep())
    names.push_back(keep.reward());
  return names;
}

const proto::Jsonl* JsonlOf(const proto::Stage& stage) {
  if (stage.has_sft() && stage.sft().has_jsonl()) return &stage.sft().jsonl();
  if (stage.has_rl() && stage.rl().prompts().has_jsonl()) return &stage.rl().prompts().jsonl();
  if (stage.has_reject() && stage.reject().prompts().has_jsonl())
    return &stage.reject().prompts().jsonl();
  return nullptr;
}

class RecipeRun {
 public:
  RecipeRun(const LoadedRecipe& loaded,
            RunDirectory& run,
            const Rewards& rewards,
            policy::cpu::KernelTarget target,
            int threads)
      : loaded_(loaded),
        run_(run),
        rewards_(rewards),
        recipe_(Resolved(loaded.recipe)),
        cpu_(target, threads) {}

  Result<std::vector<StageOutcome>> Run(const std::string& only) {
    AHA_TRY(CheckNames(recipe_, rewards_.registry));
    AHA_TRY(run_.StoreRecipe(ResolvedText(recipe_)));
    AHA_ASSIGN(graph_, run_.ReadStages());
    for (const proto::Stage& stage : recipe_.stage())
      StageOf(graph_, stage.name()).set_kind(std::string(KindOf(stage)));
    AHA_TRY(InviteWorkers(only));
    std::vector<StageOutcome> outcomes;
    for (const proto::Stage& stage : recipe_.stage()) {
      if (!only.empty() && stage.name() != only) continue;
      AHA_ASSIGN(outcomes.emplace_back(), RunOne(stage));
    }
    if (coordinator_) coordinator_->Stop("the run is over");
    return outcomes;
  }

 private:
  // Open for the whole run, so that workers stay from stage to stage.
  Status InviteWorkers(const std::string& only) {
    if (recipe_.rollout_endpoint().empty()) return {};
    const bool samples =
        std::any_of(recipe_.stage().begin(), recipe_.stage().end(), [&](const proto::Stage& stage) {
          return (stage.has_rl() || stage.has_reject()) && (only.empty() || stage.name() == only);
        });
    if (!samples) return {};
    if (recipe_.rollout_endpoint().starts_with("inproc://")) {
      return Fail(Code::kInvalidArgument,
                  "rollout_endpoint {}: no other process can reach it; use ipc://PATH or "
                  "tcp://127.0.0.1:PORT",
                  recipe_.rollout_endpoint());
    }
    rollout::CoordinatorOptions options;
    options.endpoint = recipe_.rollout_endpoint();
    options.numerics_version = kNumericsVersion;
    options.kernel_target = KernelTarget();
    AHA_ASSIGN(coordinator_, rollout::Coordinator::Start(context_, options));
    return {};
  }

  Result<fs::path> InitOf(const proto::Stage& stage) const {
    if (stage.has_pretrain()) return fs::path();
    if (stage.init() == "model") return FindModel(recipe_.model(), loaded_.folder);
    for (const proto::Stage& other : recipe_.stage()) {
      if (other.name() != stage.init()) continue;
      const fs::path folder = run_.StageFolder(other.name()) / "checkpoint";
      if (fs::exists(folder)) return folder;
      return Fail(Code::kNotFound, "stage {} starts from stage {}, which has not been run in {}",
                  stage.name(), other.name(), run_.path().string());
    }
    return FindModel(stage.init(), loaded_.folder);
  }

  Result<Inputs> InputsOf(const proto::Stage& stage, const fs::path& init) const {
    AHA_ASSIGN(const std::string recipe_hash, StageHash(recipe_, stage.name()));
    Inputs inputs = {
        StageInput("recipe", recipe_hash),
        StageInput("numerics", HashText(fmt::format("{}/{}", kNumericsVersion, KernelTarget())))};
    if (!init.empty()) {
      AHA_ASSIGN(const std::string hash, policy::WeightsHash(init));
      inputs.push_back(StageInput("init", hash));
      AHA_ASSIGN(const std::string tokenizer, HashFile(init / "tokenizer.json"));
      inputs.push_back(StageInput("tokenizer", tokenizer));
    }
    for (const std::string& from : stage.sft().from()) {
      AHA_ASSIGN(const std::string hash, HashFile(run_.StageFolder(from) / "data" / kExamplesFile));
      inputs.push_back(StageInput("data:" + from, hash));
    }
    if (const proto::Jsonl* jsonl = JsonlOf(stage)) {
      AHA_ASSIGN(const std::string hash, HashFile(RecipePath(loaded_, jsonl->path())));
      inputs.push_back(StageInput("data", hash));
    }
    for (const std::string& name : RewardNames(stage)) {
      const auto plugin = rewards_.plugin_sha256.find(name);
      if (plugin != rewards_.plugin_sha256.end())
        inputs.push_back(StageInput("plugin:" + name, plugin->second));
    }
    return inputs;
  }

  // What a done stage left, asked from the disk: a folder that somebody touched is not done.
  std::optional<StageReport> Finished(const proto::Stage& stage,
                                      const proto::StageRecord& record) const {
    StageReport report;
    report.checkpoint =
        run_.StageFolder(stage.name()) / (stage.has_reject() ? "data" : "checkpoint");
    const auto hash = stage.has_reject() ? HashFile(report.checkpoint / kExamplesFile)
                                         : policy::WeightsHash(report.checkpoint);
    if (!hash || *hash != record.output_sha256()) return {};
    report.sha256 = *hash;
    return report;
  }

  Result<StageOutcome> RunOne(const proto::Stage& stage) {
    AHA_ASSIGN(const fs::path init, InitOf(stage));
    AHA_ASSIGN(const Inputs inputs, InputsOf(stage, init));
    proto::StageRecord& record = StageOf(graph_, stage.name());
    const std::string why = WhyRun(record, inputs);
    if (why.empty()) {
      if (const auto report = Finished(stage, record)) {
        spdlog::info("{}: done before, its inputs have not changed", stage.name());
        return StageOutcome{stage.name(), "skipped", *report, record.seconds()};
      }
      spdlog::warn("{}: its output is gone or was changed; it runs again", stage.name());
    }
    AHA_TRY(Begin(record, inputs));
    StageIo io{
        &recipe_,           &stage, loaded_.folder,    init, run_.StageFolder(stage.name()), {},
        &rewards_.registry, &cpu_,  coordinator_.get()};
    for (const proto::Stage& other : recipe_.stage())
      io.stages[other.name()] = run_.StageFolder(other.name());
    const auto start = std::chrono::steady_clock::now();
    auto report = RunStage(io);
    const double seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    if (!report) {
      record.set_state(proto::StageRecord::FAILED);
      record.set_error(report.error().message);
      if (const Status written = run_.WriteStages(graph_); !written)
        spdlog::error("{}", written.error().message);
      return Within(report.error(), "stage {}", stage.name());
    }
    record.set_state(proto::StageRecord::DONE);
    record.clear_error();
    record.set_output_sha256(report->sha256);
    record.set_seconds(record.seconds() + seconds);
    record.set_peak_memory_bytes(std::max(record.peak_memory_bytes(), PeakMemoryBytes()));
    AHA_TRY(run_.WriteStages(graph_));
    return StageOutcome{stage.name(), "done", *report, record.seconds()};
  }

  // A stage that was cut or failed goes on when its inputs are the same; else it starts afresh.
  Status Begin(proto::StageRecord& record, const Inputs& inputs) {
    const bool same = record.state() != proto::StageRecord::DONE &&
                      record.input_size() == static_cast<int>(inputs.size()) &&
                      std::equal(inputs.begin(), inputs.end(), record.input().begin(),
                                 [](const auto& a, const auto& b) {
                                   return a.what() == b.what() && a.sha256() == b.sha256();
                                 });
    if (!same) {
      std::error_code error;
      fs::remove_all(run_.StageFolder(record.name()), error);
      record.clear_seconds();
      record.clear_peak_memory_bytes();
    }
    record.clear_input();
    for (const auto& input : inputs)
      *record.add_input() = input;
    record.set_state(proto::StageRecord::RUNNING);
    record.clear_output_sha256();
    record.clear_error();
    return run_.WriteStages(graph_);
  }

  const LoadedRecipe& loaded_;
  RunDirectory& run_;
  const Rewards& rewards_;
  proto::Recipe recipe_;
  proto::StageGraph graph_;
  policy::cpu::Cpu cpu_;
  zmq::context_t context_;
  std::unique_ptr<rollout::Coordinator>
      coordinator_;  // of the rollout workers, when the recipe asks for them
};

}  // namespace

Result<Rewards> LoadRewards(const LoadedRecipe& loaded,
                            const std::vector<std::string>& more_plugins) {
  Rewards rewards{rewards::Registry::BuiltIns(), {}};
  for (const std::string& plugin : loaded.recipe.plugin())
    AHA_TRY(rewards.registry.LoadPlugin(RecipePath(loaded, plugin)));
  for (const std::string& plugin : more_plugins)
    AHA_TRY(rewards.registry.LoadPlugin(plugin));
  for (const rewards::RewardInfo& info : rewards.registry.List()) {
    if (!info.file.empty()) rewards.plugin_sha256[info.name] = info.sha256;
  }
  return rewards;
}

Result<std::vector<StageOutcome>> RunRecipe(const LoadedRecipe& loaded,
                                            RunDirectory& run,
                                            const Rewards& rewards,
                                            const std::string& only) {
  AHA_ASSIGN(const policy::cpu::KernelTarget target, policy::cpu::ChooseKernelTarget());
  return RecipeRun(loaded, run, rewards, target, WorkThreads(loaded.recipe.threads())).Run(only);
}

int WorkThreads(std::uint32_t asked) {
  int threads = static_cast<int>(asked);
  if (threads == 0) {
    cpu_set_t mask;
    CPU_ZERO(&mask);
    threads = sched_getaffinity(0, sizeof(mask), &mask) == 0 ? CPU_COUNT(&mask) : 1;
  }
  return threads;
}

std::string KernelTarget() {
  const auto target = policy::cpu::ChooseKernelTarget();
  return std::string(target ? policy::cpu::KernelTargetName(*target) : "none");
}

}  // namespace aha::pipelines
