#include "pipelines/run/stage_graph.h"

#include <map>
#include <set>

#include <google/protobuf/text_format.h>

#include "base/whole_file.h"
#include "pipelines/run/text_record.h"

namespace aha::pipelines {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kAdvice =
    "it was changed or damaged from outside: restore it, or delete it to run every stage again";

}  // namespace

Result<proto::StageGraph> ReadStageGraph(const fs::path& file) {
  proto::StageGraph graph;
  const auto text = ReadFile(file);
  if (!text && text.error().code == Code::kNotFound) return graph;
  if (!text) return tl::unexpected<Error>(text.error());
  AHA_TRY(ParseRecord(*text, file, kAdvice, graph));
  std::set<std::string> names;
  for (const proto::StageRecord& stage : graph.stage()) {
    if (stage.name().empty() || !names.insert(stage.name()).second) {
      return Fail(Code::kCorrupt, "{}: stage \"{}\" is listed twice or has no name; {}",
                  file.string(), stage.name(), kAdvice);
    }
  }
  return graph;
}

Status WriteStageGraph(const fs::path& file, const proto::StageGraph& graph) {
  std::string text;
  google::protobuf::TextFormat::PrintToString(graph, &text);
  return WriteWholeFile(file, text);
}

const proto::StageRecord* FindStage(const proto::StageGraph& graph, std::string_view name) {
  for (const proto::StageRecord& stage : graph.stage()) {
    if (stage.name() == name) return &stage;
  }
  return nullptr;
}

proto::StageRecord& StageOf(proto::StageGraph& graph, std::string_view name) {
  for (proto::StageRecord& stage : *graph.mutable_stage()) {
    if (stage.name() == name) return stage;
  }
  proto::StageRecord& stage = *graph.add_stage();
  stage.set_name(std::string(name));
  stage.set_state(proto::StageRecord::PENDING);
  return stage;
}

proto::StageRecord::Input StageInput(std::string_view what, std::string_view sha256) {
  proto::StageRecord::Input input;
  input.set_what(std::string(what));
  input.set_sha256(std::string(sha256));
  return input;
}

std::string WhyRun(const proto::StageRecord& record,
                   const std::vector<proto::StageRecord::Input>& inputs) {
  if (record.state() == proto::StageRecord::FAILED) return "it failed the last time";
  if (record.state() == proto::StageRecord::RUNNING) return "it was cut short";
  if (record.state() != proto::StageRecord::DONE) return "it has not run yet";
  std::map<std::string, std::string> before, now;
  for (const auto& input : record.input())
    before[input.what()] = input.sha256();
  for (const auto& input : inputs)
    now[input.what()] = input.sha256();
  for (const auto& [what, hash] : now) {
    if (!before.contains(what)) return fmt::format("it has a new input: {}", what);
    if (before.at(what) != hash) return fmt::format("its {} has changed", what);
  }
  for (const auto& [what, hash] : before) {
    if (!now.contains(what)) return fmt::format("it has lost an input: {}", what);
  }
  return {};
}

}  // namespace aha::pipelines
