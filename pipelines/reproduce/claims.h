#pragma once
/// The claims of DeepSeek-R1's paper that a reproduction is held to, judged on its measurements.

#include <map>
#include <string>
#include <vector>

#include "pipelines/report/report.h"
#include "pipelines/reproduce/measure.h"

namespace aha::pipelines {

/// Measurements of one stage, one a seed.
using MeasuredBySeed = std::vector<Measured>;

/// A stage's row: means over seeds, spread between them, the interval over problems of their mean.
StageRow RowOf(const std::string& name, const MeasuredBySeed& seeds);

/// The claims that can be judged on these stages, kept or not, each with its figures. Judged on the
/// means over seeds. A claim about a stage that was not run is left out.
std::vector<Claim> JudgeClaims(const std::map<std::string, MeasuredBySeed>& stages);

}  // namespace aha::pipelines
