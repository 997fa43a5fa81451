#pragma once
/// Tables of figures: stages, and their families.

#include <string>
#include <vector>

#include "pipelines/report/report.h"

namespace aha::pipelines {

/// Every stage's figures with their uncertainty, and pass@1 drawn beside them.
std::string RenderStageTable(const std::vector<StageRow>& stages, std::size_t seeds);

/// pass@1 by family and band (rows) and stage (columns); empty if no stage has any.
std::string RenderFamilyTable(const std::vector<StageRow>& stages);

}  // namespace aha::pipelines
