// aha rollout.

#include <zmq.hpp>

#include "base/log.h"
#include "base/parallel.h"
#include "pipelines/commands/command.h"
#include "pipelines/model/model_folder.h"
#include "pipelines/stages/run_recipe.h"
#include "rollout/worker.h"

namespace aha::pipelines {
namespace {

struct RolloutArguments {
  std::string connect;
  int threads = 1;
  int patience = 60;
};

Result<rollout::WorkerPolicy> LoadForRollout(const std::filesystem::path& folder) {
  AHA_ASSIGN(Model model, LoadModel(folder, Use::kInference));
  return rollout::WorkerPolicy{std::move(model.weights), std::move(model.stop_ids)};
}

Status RunRollout(const RolloutArguments& o) {
  if (o.connect.starts_with("inproc://")) {
    return Fail(Code::kInvalidArgument, "{}: names a place inside one process; use ipc://PATH",
                o.connect);
  }
  const int workers = WorkThreads(static_cast<std::uint32_t>(o.threads));
  zmq::context_t context;
  return RunParallel(workers, static_cast<std::size_t>(workers), [&](std::size_t w, int) -> Status {
    rollout::LinkOptions options;
    options.endpoint = o.connect;
    options.name = rollout::WorkerName() + (workers > 1 ? fmt::format("/{}", w + 1) : "");
    options.numerics_version = kNumericsVersion;
    options.kernel_target = KernelTarget();
    options.patience = std::chrono::seconds(o.patience);
    AHA_ASSIGN(const std::string why, rollout::RunWorker(context, options, LoadForRollout));
    spdlog::info("rollout worker {} stops: {}", options.name, why);
    return {};
  });
}

}  // namespace

void AddRolloutCommand(CLI::App& app, Action& action) {
  auto o = std::make_shared<RolloutArguments>();
  CLI::App* rollout = app.add_subcommand(
      "rollout", "Sample completions for a run with rollout_endpoint set, until it is over");
  rollout
      ->add_option("--connect", o->connect,
                   "The run's rollout_endpoint: ipc://PATH or tcp://127.0.0.1:PORT")
      ->required();
  rollout
      ->add_option("--threads", o->threads,
                   "Workers in this process, each with its own copy of the weights; 0: one a core")
      ->check(CLI::Range(0, 256));
  rollout
      ->add_option("--patience", o->patience,
                   "Seconds without a word from the run before giving up")
      ->check(CLI::Range(1, 86400));
  rollout->callback([&action, o] { action = [o] { return RunRollout(*o); }; });
}

}  // namespace aha::pipelines
