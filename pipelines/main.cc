// The `aha` program: parses the command line, runs one command, turns its outcome into an exit
// code: 0 done, 1 failed, 2 wrong use or recipe.

#include <malloc.h>

#include <cstdio>
#include <cstdlib>

#include "base/log.h"
#include "pipelines/commands/command.h"
#include "pipelines/stages/run_recipe.h"

namespace aha::pipelines {

void PrintLine(const std::string& line) {
  std::fputs((line + "\n").c_str(), stdout);
  std::fflush(stdout);
}

void PrintJson(const Json& json) {
  PrintLine(json.dump(-1, ' ', false, Json::error_handler_t::replace));
}

namespace {

// Blocks of a few megabytes are kept for the next step, which asks for the same sizes again.
void TuneLibraries() {
  ::mallopt(M_MMAP_THRESHOLD, 16 << 20);
  ::mallopt(M_TRIM_THRESHOLD, 256 << 20);
  ::mallopt(M_ARENA_MAX, 4);
}

int Main(int argc, char** argv) {
  TuneLibraries();
  if (const auto target = policy::cpu::ChooseKernelTarget(); !target) {
    std::fprintf(stderr, "aha: %s\n", target.error().message.c_str());
    return 2;
  }
  CLI::App app("Post-trains language models the way DeepSeek-R1 was made.", "aha");
  app.require_subcommand(0, 1);
  app.set_version_flag("--version", fmt::format("aha {}, numerics {}, kernels {}", AHA_VERSION,
                                                kNumericsVersion, KernelTarget()));
  bool verbose = false;
  bool quiet = false;
  app.add_flag("-v,--verbose", verbose, "Log more");
  app.add_flag("-q,--quiet", quiet, "Log warnings and errors only");
  Action action;
  AddReproduceCommands(app, action);
  AddRecipeCommands(app, action);
  AddWhyCommand(app, action);
  AddModelCommands(app, action);
  AddGenerateCommand(app, action);
  AddBenchCommand(app, action);
  AddChatCommand(app, action);
  AddTokenCommands(app, action);
  AddCheckpointCommands(app, action);
  AddRewardCommands(app, action);
  AddRolloutCommand(app, action);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  StartLog(quiet ? spdlog::level::warn : verbose ? spdlog::level::debug : spdlog::level::info);
  if (!action) {
    std::fputs(app.help().c_str(), stdout);
    return argc > 1 ? 0 : 2;
  }
  const Status done = Guard("aha", action);
  if (done) return 0;
  std::fprintf(stderr, "aha: %s\n", done.error().message.c_str());
  return done.error().code == Code::kInvalidArgument ? 2 : 1;
}

}  // namespace
}  // namespace aha::pipelines

int main(int argc, char** argv) {
  return aha::pipelines::Main(argc, argv);
}
