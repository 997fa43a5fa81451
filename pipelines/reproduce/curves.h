#pragma once
/// Curves of a run's stages, read from their metrics.jsonl.

#include <filesystem>
#include <string>
#include <vector>

#include "base/result.h"
#include "pipelines/report/report.h"

namespace aha::pipelines {

/// A stage's metrics whose curve goes into the charts under `series`, starting at `first_step` (so
/// that a later RL stage goes on where an earlier one ended).
struct CurveSource {
  std::filesystem::path stage_folder;
  std::string series;
  double first_step = 0;
};

/// Accuracy, format, language and thinking length over RL steps, all sources together. A source
/// without metrics is left out.
std::vector<Chart> LearningCurves(const std::vector<CurveSource>& sources);

/// Lines of a metrics.jsonl; 0 when there is none.
std::uint64_t CountSteps(const std::filesystem::path& stage_folder);

}  // namespace aha::pipelines
