#pragma once
/// `aha reproduce`: the recipes of the embedded world, run, measured, judged and reported.

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/result.h"
#include "pipelines/report/report.h"
#include "pipelines/tasks/problem.h"

namespace aha::pipelines {

struct ReproduceOptions {
  std::string what = "all";  ///< "r1-zero", "r1" or "all"
  std::uint32_t seeds = 1;   ///< seeds 1 to this
  std::filesystem::path out = "runs/reproduce";
  Split split = Split::kTest;  ///< what is measured on; settings are chosen on kDev
  std::uint32_t threads = 0;
  std::vector<std::string> set;  ///< overrides of both recipes, for trying
};

struct Reproduction {
  std::filesystem::path run;     ///< what was given as `out`
  std::filesystem::path report;  ///< report.html
  double seconds = 0;            ///< of this call
  std::vector<Claim> claims;
  std::vector<StageRow> rows;
};

/// Runs, or goes on with, OUT/seed-K for each seed, measures every checkpoint on held-out problems,
/// writes OUT/report.html whole. Done stages and measurements are not done again.
Result<Reproduction> Reproduce(const ReproduceOptions& options);

/// A recipe that ships with Aha: "pretrain", "r1-zero", "r1".
Result<std::filesystem::path> ShippedRecipe(const std::string& name);

/// The report of a run directory made by `aha run` (curves, times, recipe) or of one made by
/// Reproduce (all that it holds so far). Returns the path of report.html; kNotFound when it is
/// neither.
Result<std::filesystem::path> WriteReport(const std::filesystem::path& run);

}  // namespace aha::pipelines
