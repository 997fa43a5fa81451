#pragma once
/// TensorBoard's event files: scalar curves as TFRecords of proto/tensorboard.proto's TbEvent.

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "pipelines/run/append_file.h"

namespace aha::pipelines {

/// A named number of one step.
struct Metric {
  std::string name;
  double value = 0;
};

/// One TFRecord: length (8 bytes, little-endian), masked CRC-32C of the length, data, masked
/// CRC-32C of the data.
std::string TfRecord(std::string_view data);

/// Appends scalar events. Events carry the wall time, so no hash may cover this file.
class EventFile {
 public:
  /// Goes on with the file when it has bytes, else begins it with TensorFlow's version event.
  static Result<EventFile> Open(const std::filesystem::path& path);

  /// One event with all of the step's metrics, as float32; NaN and infinity as they are.
  Status Append(std::uint64_t step, std::span<const Metric> metrics);

  Status Sync() { return file_.Sync(); }

 private:
  explicit EventFile(AppendFile file) : file_(std::move(file)) {}
  AppendFile file_;
};

}  // namespace aha::pipelines
