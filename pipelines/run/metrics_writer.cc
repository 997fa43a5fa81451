#include "pipelines/run/metrics_writer.h"

#include <nlohmann/json.hpp>

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
