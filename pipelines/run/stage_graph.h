#pragma once
/// stages.textproto: which stages are done, from which inputs, with which output.

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "proto/records.pb.h"

namespace aha::pipelines {

/// The graph in `file`; empty when there is no such file. kCorrupt, with line and column, when it
/// is not protobuf text of a StageGraph, or has a stage without a name or one name twice.
Result<proto::StageGraph> ReadStageGraph(const std::filesystem::path& file);

/// Replaces the file whole.
Status WriteStageGraph(const std::filesystem::path& file, const proto::StageGraph& graph);

/// The record of a stage; null when it has none. Borrowed from `graph`.
const proto::StageRecord* FindStage(const proto::StageGraph& graph, std::string_view name);

/// The record of a stage, added as PENDING when it has none. Borrowed from `graph`.
proto::StageRecord& StageOf(proto::StageGraph& graph, std::string_view name);

/// One input of a stage: what ("recipe", "init", "data", "plugin:NAME", "numerics") and its hash.
proto::StageRecord::Input StageInput(std::string_view what, std::string_view sha256);

/// Why a stage must run (again), or "" when it is done and its inputs are those of `inputs`, in any
/// order: "its recipe has changed".
std::string WhyRun(const proto::StageRecord& record,
                   const std::vector<proto::StageRecord::Input>& inputs);

}  // namespace aha::pipelines
