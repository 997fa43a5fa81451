// aha run, aha pretrain | sft | rl | reject, aha explain.

#include <memory>

#include "pipelines/commands/command.h"
#include "pipelines/recipes/explain.h"
#include "pipelines/recipes/recipe.h"
#include "pipelines/recipes/resolve.h"
#include "pipelines/stages/run_recipe.h"
#include "pipelines/tasks/problem.h"

namespace aha::pipelines {
namespace {

struct RunOptions {
  std::string recipe;
  std::string out;
  std::vector<std::string> set;
  std::vector<std::string> plugins;
  std::string stage;
  std::string kind;  // empty: the whole recipe
  bool json = false;
};

// Everything that a recipe says wrong is wrong use: exit code 2, also a file that is not there.
Result<LoadedRecipe> Load(const RunOptions& options) {
  auto loaded = LoadRecipe(options.recipe, options.set);
  if (!loaded) return Fail(Code::kInvalidArgument, "{}", loaded.error().message);
  return loaded;
}

std::filesystem::path OutOf(const RunOptions& options, const LoadedRecipe& loaded) {
  return options.out.empty() ? std::filesystem::path("runs") / loaded.recipe.name()
                             : std::filesystem::path(options.out);
}

// The stage that `aha KIND RECIPE` means: the named one, or the recipe's only one of that kind.
Result<std::string> PickStage(const RunOptions& options, const LoadedRecipe& loaded) {
  std::vector<std::string> names;
  for (const proto::Stage& stage : loaded.recipe.stage()) {
    if (KindOf(stage) == options.kind && (options.stage.empty() || stage.name() == options.stage))
      names.push_back(stage.name());
  }
  if (names.size() == 1) return names.front();
  if (!options.stage.empty())
    return Fail(Code::kInvalidArgument, "{}: no {} stage is named {}", options.recipe, options.kind,
                options.stage);
  if (names.empty())
    return Fail(Code::kInvalidArgument, "{}: has no {} stage", options.recipe, options.kind);
  return Fail(Code::kInvalidArgument, "{}: has {} {} stages; pick one with --stage: {}",
              options.recipe, names.size(), options.kind, fmt::join(names, ", "));
}

Status Run(const RunOptions& options) {
  AHA_ASSIGN(const LoadedRecipe loaded, Load(options));
  std::string only;
  if (!options.kind.empty()) {
    AHA_ASSIGN(only, PickStage(options, loaded));
  }
  AHA_ASSIGN(const Rewards rewards, LoadRewards(loaded, options.plugins));
  AHA_ASSIGN(RunDirectory run, RunDirectory::Open(OutOf(options, loaded)));
  AHA_ASSIGN(const std::vector<StageOutcome> outcomes, RunRecipe(loaded, run, rewards, only));
  if (!options.kind.empty()) {
    const StageOutcome& outcome = outcomes.front();
    Json json = {{"checkpoint", outcome.report.checkpoint.string()},
                 {"sha256", outcome.report.sha256}};
    json.update(MetricsJson(outcome.report.metrics));
    options.json ? PrintJson(json)
                 : PrintLine(fmt::format("{}  {}", outcome.report.checkpoint.string(),
                                         outcome.report.sha256));
    return {};
  }
  Json stages = Json::object();
  for (const StageOutcome& outcome : outcomes) {
    stages[outcome.name] = outcome.state;
    if (!options.json) {
      PrintLine(fmt::format("{:<16} {:<8} {:8.1f} s  {}", outcome.name, outcome.state,
                            outcome.seconds, outcome.report.sha256.substr(0, 16)));
    }
  }
  if (options.json) PrintJson({{"run", run.path().string()}, {"stages", stages}});
  return {};
}

void AddRunCommand(CLI::App& app,
                   Action& action,
                   const std::string& kind,
                   const std::string& help) {
  auto options = std::make_shared<RunOptions>();
  options->kind = kind;
  CLI::App* command = app.add_subcommand(kind.empty() ? "run" : kind, help);
  command->add_option("recipe", options->recipe, "Recipe file (protobuf text)")->required();
  command->add_option("--out", options->out, "Run directory (default: runs/NAME of the recipe)");
  command
      ->add_option("--set", options->set, "Override: STAGE.KEY=VALUE, or KEY=VALUE of the recipe")
      ->allow_extra_args(false);
  command->add_option("--plugin", options->plugins, "Shared object with rewards of your own")
      ->allow_extra_args(false);
  if (!kind.empty())
    command->add_option("--stage", options->stage,
                        "Which stage, when the recipe has several of this kind");
  command->add_flag("--json", options->json, "Print one line of JSON last");
  command->callback([&action, options] { action = [options] { return Run(*options); }; });
}

Status ExplainKey(const std::string& key) {
  if (key == "families") {
    for (const FamilyInfo& family : TaskFamilies()) {
      PrintLine(fmt::format("{:<12} {:<10} {}", family.name,
                            family.general ? "general" : "reasoning", family.doc));
    }
    return {};
  }
  auto text = Explain(key);
  if (!text) return Fail(Code::kInvalidArgument, "{}", text.error().message);
  PrintLine(*text);
  return {};
}

}  // namespace

void AddRecipeCommands(CLI::App& app, Action& action) {
  AddRunCommand(app, action, "",
                "Run a recipe's stages in order, skipping what is done, going on where it was cut");
  AddRunCommand(app, action, "pretrain", "Run one pre-training stage of a recipe");
  AddRunCommand(app, action, "sft", "Run one supervised fine-tuning stage of a recipe");
  AddRunCommand(app, action, "rl", "Run one reinforcement-learning stage of a recipe");
  AddRunCommand(app, action, "reject", "Run one rejection-sampling stage of a recipe");
  auto key = std::make_shared<std::string>();
  CLI::App* explain =
      app.add_subcommand("explain", "Say what a recipe key does, its default, range and source");
  explain
      ->add_option("key", *key,
                   "A key such as clip_low, rl.kl, optimizer.learning_rate; or: families")
      ->required();
  explain->callback([&action, key] { action = [key] { return ExplainKey(*key); }; });
}

}  // namespace aha::pipelines
