#pragma once
/// Protobuf's delimited form: each message after its length as a varint. groups.bin is one.

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

#include <google/protobuf/message_lite.h>

#include "base/result.h"

namespace aha::pipelines {

/// The length as a varint, then the message. Refuses (kInvalidArgument) one of 2 GiB or more.
Result<std::string> Delimited(const google::protobuf::MessageLite& message);

/// Reads messages one after the other; memory never exceeds one message.
class DelimitedReader {
 public:
  /// kNotFound when the file cannot be read.
  static Result<DelimitedReader> Open(const std::filesystem::path& path);

  /// The next message into `message`; false at the clean end of the file. kCorrupt, naming file and
  /// byte, when the tail is cut off or the bytes are no such message; offset() then still is where
  /// the last whole message ended.
  Result<bool> Next(google::protobuf::MessageLite& message);

  /// Where the next message begins.
  [[nodiscard]] std::uint64_t offset() const { return offset_; }
  /// Whether Next failed because the file ends inside a record, as it does while its writer is at
  /// work or after it was killed.
  [[nodiscard]] bool cut_off() const { return cut_off_; }

 private:
  DelimitedReader(std::filesystem::path path, std::ifstream stream, std::uint64_t size);
  Result<std::uint64_t> ReadLength(std::uint64_t& at);

  std::filesystem::path path_;
  std::ifstream stream_;
  std::uint64_t size_ = 0;
  std::uint64_t offset_ = 0;
  bool cut_off_ = false;
  std::string buffer_;
};

}  // namespace aha::pipelines
