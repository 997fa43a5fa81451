#pragma once
/// A recipe's stages in order: those whose inputs have not changed are skipped, one that was cut
/// goes on.

#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/result.h"
#include "pipelines/recipes/recipe.h"
#include "pipelines/run/run_directory.h"
#include "pipelines/stages/stage.h"
#include "rewards/registry.h"

namespace aha::pipelines {

/// Changes when a change of code changes the bits of a run; a rebuild alone does not change it.
inline constexpr std::uint64_t kNumericsVersion = 5;

struct StageOutcome {
  std::string name;
  std::string state;  ///< "done" or "skipped" (it was done before, from the same inputs)
  StageReport report;
  double seconds = 0;  ///< of the run that finished it
};

/// A registry with the built-ins and the recipe's plug-ins, and what the plug-ins' files hash to.
struct Rewards {
  rewards::Registry registry;
  std::map<std::string, std::string> plugin_sha256;  ///< by reward name
};
Result<Rewards> LoadRewards(const LoadedRecipe& loaded,
                            const std::vector<std::string>& more_plugins);

/// Runs the stages of `loaded` in `run`. Stops at the first stage that fails, its state and error
/// recorded in stages.textproto. The run directory stays usable whatever happens.
///
/// @param only  the name of the one stage to run, on what the stages before it left; empty: all.
Result<std::vector<StageOutcome>> RunRecipe(const LoadedRecipe& loaded,
                                            RunDirectory& run,
                                            const Rewards& rewards,
                                            const std::string& only = "");

/// How many threads to work with: `asked`, or every core of the process's affinity mask when 0.
/// Kernels share their work among them; the number changes no bit.
int WorkThreads(std::uint32_t asked);

/// The name of the kernels' target (policy/kernels/cpu/target.h): this machine's fastest, or what
/// AHA_KERNELS asks for; "none" when it asks for what there is not. Part of what fixes the bits.
std::string KernelTarget();

}  // namespace aha::pipelines
