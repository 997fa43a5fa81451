// aha reproduce, aha report.

#include <memory>

#include "pipelines/commands/command.h"
#include "pipelines/report/summary.h"
#include "pipelines/reproduce/reproduce.h"

namespace aha::pipelines {
namespace {

Status RunReproduce(const ReproduceOptions& options, bool json) {
  AHA_ASSIGN(const Reproduction done, Reproduce(options));
  if (json) {
    PrintJson({{"run", done.run.string()},
               {"report", done.report.string()},
               {"seconds", done.seconds},
               {"claims", ClaimsJson(done.claims)},
               {"stages", StagesJson(done.rows)}});
    return {};
  }
  PrintLine(RenderClaimsText(done.claims, done.rows));
  PrintLine(fmt::format("report: {}   ({:.0f} s)", done.report.string(), done.seconds));
  return {};
}

}  // namespace

void AddReproduceCommands(CLI::App& app, Action& action) {
  auto options = std::make_shared<ReproduceOptions>();
  auto json = std::make_shared<bool>(false);
  auto split = std::make_shared<std::string>("test");
  CLI::App* reproduce = app.add_subcommand(
      "reproduce", "R1-Zero and R1 on the embedded world: run, measure, judge, report");
  reproduce->add_option("what", options->what, "r1-zero, r1 or all")
      ->check(CLI::IsMember({"r1-zero", "r1", "all"}));
  reproduce->add_option("--seeds", options->seeds, "Seeds 1 to N, for mean and spread")
      ->check(CLI::Range(1, 1000));
  reproduce->add_option("--out", options->out, "Directory (default: runs/reproduce)");
  reproduce
      ->add_option("--split", *split,
                   "Held-out problems to measure on: test, or dev to choose settings on")
      ->check(CLI::IsMember({"test", "dev"}));
  reproduce->add_option("--threads", options->threads,
                        "CPU threads; 0: every core. Changes no bit");
  reproduce->add_option("--set", options->set, "Override a recipe key, as in aha run")
      ->allow_extra_args(false);
  reproduce->add_flag("--json", *json, "Print one line of JSON last");
  reproduce->callback([&action, options, split, json] {
    action = [options, split, json]() -> Status {
      AHA_ASSIGN(options->split, SplitNamed(*split));
      return RunReproduce(*options, *json);
    };
  });

  auto run = std::make_shared<std::string>();
  CLI::App* report = app.add_subcommand("report", "Write report.html of a run directory");
  report->add_option("run", *run, "Run directory of aha run or aha reproduce")->required();
  report->callback([&action, run] {
    action = [run]() -> Status {
      AHA_ASSIGN(const std::filesystem::path file, WriteReport(*run));
      PrintLine(file.string());
      return {};
    };
  });
}

}  // namespace aha::pipelines
