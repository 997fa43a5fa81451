#include "pipelines/run/metrics_writer.h"

#include <limits>
#include <sstream>

#include <nlohmann/json.hpp>

#include "base/whole_file.h"

namespace aha::pipelines {

Result<std::string> MetricsLine(std::uint64_t step, std::span<const Metric> metrics) {
  nlohmann::ordered_json line;
  line["step"] = step;
  for (const Metric& metric : metrics) {
    if (line.contains(metric.name)) {
      return Fail(Code::kInvalidArgument, "metric \"{}\" of step {} is given twice", metric.name,
                  step);
    }
    line[metric.name] = metric.value;
  }
  return line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

Result<std::vector<MetricsOfStep>> ReadMetrics(const std::filesystem::path& stage_folder) {
  AHA_ASSIGN(const std::string text, ReadFile(stage_folder / kMetricsFile));
  std::vector<MetricsOfStep> steps;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    const auto json = nlohmann::ordered_json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (!json.is_object() || !json.contains("step") || !json["step"].is_number_unsigned()) {
      return Fail(Code::kCorrupt, "{}: line {} is no step's metrics",
                  (stage_folder / kMetricsFile).string(), steps.size() + 1);
    }
    MetricsOfStep& step = steps.emplace_back();
    step.step = json["step"].get<std::uint64_t>();
    for (const auto& [name, value] : json.items()) {
      if (name == "step") continue;
      step.metrics.push_back({name, value.is_number() ? value.get<double>()
                                                      : std::numeric_limits<double>::quiet_NaN()});
    }
  }
  return steps;
}

Result<MetricsWriter> MetricsWriter::Open(const std::filesystem::path& stage_folder) {
  AHA_ASSIGN(AppendFile lines, AppendFile::Open(stage_folder / kMetricsFile));
  AHA_ASSIGN(EventFile events, EventFile::Open(stage_folder / kEventFile));
  return MetricsWriter(std::move(lines), std::move(events));
}

Status MetricsWriter::Write(std::uint64_t step, std::span<const Metric> metrics) {
  AHA_ASSIGN(const std::string line, MetricsLine(step, metrics));
  AHA_TRY(lines_.Append(line));
  return events_.Append(step, metrics);
}

Status MetricsWriter::Sync() {
  AHA_TRY(lines_.Sync());
  return events_.Sync();
}

}  // namespace aha::pipelines
