#pragma once
/// A file that only grows: metrics, groups, event files. Cut back to its committed length on
/// restart (stage_state.h), so a torn tail never outlives a crash.

#include <cstdint>
#include <filesystem>
#include <string_view>

#include "base/result.h"
#include "pipelines/run/descriptor.h"

namespace aha::pipelines {

/// Unbuffered: when Append returns, the bytes are in the kernel. One writer at a time.
class AppendFile {
 public:
  /// Opens for appending, creating the file and its folder. kInvalidArgument or kNotFound when it
  /// cannot be opened.
  static Result<AppendFile> Open(const std::filesystem::path& path);

  /// All of `bytes` or an error: kExhausted when the disk is full, the message naming the file.
  /// After an error the file is cut back to size().
  Status Append(std::string_view bytes);

  /// fsync: what was appended survives a power cut.
  Status Sync();

  /// Bytes in the file: those there at Open and those appended since.
  [[nodiscard]] std::uint64_t size() const { return size_; }
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  AppendFile(std::filesystem::path path, Descriptor fd, std::uint64_t size);

  std::filesystem::path path_;
  Descriptor fd_;
  std::uint64_t size_ = 0;
};

}  // namespace aha::pipelines
