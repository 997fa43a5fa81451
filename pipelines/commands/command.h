#pragma once
/// What the sub-commands of `aha` share.

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "base/result.h"

namespace aha::pipelines {

using Json = nlohmann::ordered_json;

/// What the parsed command line asks for; run after parsing. Unset: nothing (--help).
using Action = std::function<Status()>;

void AddRecipeCommands(CLI::App& app, Action& action);
void AddModelCommands(CLI::App& app, Action& action);
void AddGenerateCommand(CLI::App& app, Action& action);
void AddBenchCommand(CLI::App& app, Action& action);
void AddChatCommand(CLI::App& app, Action& action);
void AddTokenCommands(CLI::App& app, Action& action);
void AddCheckpointCommands(CLI::App& app, Action& action);
void AddRewardCommands(CLI::App& app, Action& action);
void AddRolloutCommand(CLI::App& app, Action& action);
void AddWhyCommand(CLI::App& app, Action& action);
void AddReproduceCommands(CLI::App& app, Action& action);

/// One line of JSON on standard output; NaN becomes null, bytes that are no UTF-8 U+FFFD.
void PrintJson(const Json& json);
void PrintLine(const std::string& line);

/// Metrics as one JSON object.
template <class Metrics>
Json MetricsJson(const Metrics& metrics) {
  Json json = Json::object();
  for (const auto& metric : metrics)
    json[metric.name] = metric.value;
  return json;
}

}  // namespace aha::pipelines
