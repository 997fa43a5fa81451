#include "pipelines/reproduce/curves.h"

#include <cmath>
#include <fstream>

#include <nlohmann/json.hpp>

#include "pipelines/run/metrics_writer.h"

namespace aha::pipelines {
namespace {

struct Plot {
  const char* title;
  const char* metric;
  const char* y_label;
  const char* note;
  bool share;
};

constexpr Plot kPlots[] = {
    {"Accuracy", "reward/math", "share right", "of sampled completions, on training prompts", true},
    {"Format", "reward/format", "share well-formed", "think and answer tags as asked", true},
    {"Language consistency", "reward/language", "share of words",
     "of the thinking, in the question's language", true},
    {"Thinking length", "thinking_tokens", "tokens", "between the think tags", false},
};

std::vector<nlohmann::json> ReadLines(const std::filesystem::path& stage_folder) {
  std::vector<nlohmann::json> lines;
  std::ifstream stream(stage_folder / kMetricsFile);
  for (std::string line; std::getline(stream, line);) {
    nlohmann::json object = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (object.is_object()) lines.push_back(std::move(object));
  }
  return lines;
}

double Value(const nlohmann::json& line, const char* key) {
  const auto it = line.find(key);
  return it != line.end() && it->is_number() ? it->get<double>() : std::nan("");
}

}  // namespace

std::uint64_t CountSteps(const std::filesystem::path& stage_folder) {
  return ReadLines(stage_folder).size();
}

std::vector<Chart> LearningCurves(const std::vector<CurveSource>& sources) {
  std::vector<std::vector<nlohmann::json>> lines;
  for (const CurveSource& source : sources)
    lines.push_back(ReadLines(source.stage_folder));
  std::vector<Chart> charts;
  for (const Plot& plot : kPlots) {
    Chart chart;
    chart.title = plot.title;
    chart.x_label = "RL step";
    chart.y_label = plot.y_label;
    chart.note = plot.note;
    chart.y_min = 0;
    if (plot.share) chart.y_max = 1;
    for (std::size_t i = 0; i < sources.size(); ++i) {
      Series series;
      series.name = sources[i].series;
      for (const nlohmann::json& line : lines[i]) {
        series.x.push_back(sources[i].first_step + Value(line, "step"));
        series.y.push_back(Value(line, plot.metric));
      }
      if (!series.x.empty()) chart.series.push_back(std::move(series));
    }
    if (!chart.series.empty()) charts.push_back(std::move(chart));
  }
  return charts;
}

}  // namespace aha::pipelines
