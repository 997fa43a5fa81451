#pragma once
/// What a plug-in's host process and the service say to each other over a socket. Plain C++ without
/// any library, so that the host is small. Both are built from the same source: numbers travel as
/// they lie in memory.
///
/// First the service sends the config, a Frame of values; the host answers with a Verdict whose
/// failure is 0 when the plug-in took it. Then it is one Frame of a completion, one Verdict, and so
/// on.

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>

namespace aha::rewards::host {

/// Exit code of a host whose plug-in could get no more memory.
inline constexpr int kOutOfMemory = 77;

struct Verdict {
  double score = 0;
  std::uint32_t failure = 0;
  char reason[256] = {};
  char detail[512] = {};
};

/// A frame is its size in bytes (8) and as many bytes: numbers, and texts as size and bytes.
class FrameWriter {
 public:
  FrameWriter() : bytes_(sizeof(std::uint64_t), '\0') {}
  template <class Number>
  void Put(Number number) {
    bytes_.append(reinterpret_cast<const char*>(&number), sizeof(number));
  }
  void PutText(std::string_view text) {
    Put(std::uint64_t{text.size()});
    bytes_.append(text);
  }
  std::string Finish() {
    const std::uint64_t size = bytes_.size() - sizeof(size);
    std::memcpy(bytes_.data(), &size, sizeof(size));
    return std::move(bytes_);
  }

 private:
  std::string bytes_;
};

/// Reads what FrameWriter wrote; the two ends trust each other's layout, sizes are checked all the
/// same.
class FrameReader {
 public:
  explicit FrameReader(std::string_view bytes) : bytes_(bytes) {}
  template <class Number>
  Number Get() {
    Number number{};
    if (bytes_.size() < sizeof(number)) return number;
    std::memcpy(&number, bytes_.data(), sizeof(number));
    bytes_.remove_prefix(sizeof(number));
    return number;
  }
  std::string_view GetText() {
    const auto size = Get<std::uint64_t>();
    const std::string_view text = bytes_.substr(0, size);
    bytes_.remove_prefix(text.size());
    return text;
  }

 private:
  std::string_view bytes_;
};

}  // namespace aha::rewards::host
