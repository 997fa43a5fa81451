#pragma once
/// A stage's curves: metrics.jsonl, one line a step, and the same numbers for TensorBoard.

#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

#include "base/result.h"
#include "pipelines/run/append_file.h"
#include "pipelines/run/event_file.h"

namespace aha::pipelines {

/// Relative to the stage's folder. The event file has a fixed name, not TensorFlow's time stamp: a
/// restart cuts it back and goes on with it. Both belong in the stage's commits.
inline constexpr char kMetricsFile[] = "metrics.jsonl";
inline constexpr char kEventFile[] = "tensorboard/events.out.tfevents.0.aha";

/// One line of metrics.jsonl: {"step":N,"name":number,...}, metrics in the order given. Doubles
/// come back bit for bit; NaN and infinity are null. kInvalidArgument for "step" or a name given
/// twice.
Result<std::string> MetricsLine(std::uint64_t step, std::span<const Metric> metrics);

/// A line of metrics.jsonl, read back; null is NaN.
struct MetricsOfStep {
  std::uint64_t step = 0;
  std::vector<Metric> metrics;
};

/// The lines of a stage's metrics.jsonl. kNotFound when there is none, kCorrupt, naming the line,
/// when one does not parse.
Result<std::vector<MetricsOfStep>> ReadMetrics(const std::filesystem::path& stage_folder);

class MetricsWriter {
 public:
  /// Goes on with the files of `stage_folder`; restore its last commit first.
  static Result<MetricsWriter> Open(const std::filesystem::path& stage_folder);

  /// Appends one step to both files.
  Status Write(std::uint64_t step, std::span<const Metric> metrics);

  Status Sync();

 private:
  MetricsWriter(AppendFile lines, EventFile events)
      : lines_(std::move(lines)), events_(std::move(events)) {}
  AppendFile lines_;
  EventFile events_;
};

}  // namespace aha::pipelines
