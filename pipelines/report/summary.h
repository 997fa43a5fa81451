#pragma once
/// Claims and stages for the terminal and for scripts.

#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "pipelines/report/report.h"

namespace aha::pipelines {

/// Aligned plain text, at most 100 columns wide, ending in a newline. Empty lists print nothing.
std::string RenderClaimsText(const std::vector<Claim>& claims, const std::vector<StageRow>& stages);

/// `[{"name", "kept", "figures"}]`, and "statement" beside them.
nlohmann::json ClaimsJson(const std::vector<Claim>& claims);

/// `{NAME: {"pass_at_1", "well_formed", "language", "thinking_tokens"}}`: means over the seeds,
/// null where not known. "ci95", "std", "pass_at_1_hardest" and "general_pass_at_1" stand beside
/// them.
nlohmann::json StagesJson(const std::vector<StageRow>& stages);

}  // namespace aha::pipelines
