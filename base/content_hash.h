#pragma once
/// SHA-256 of bytes and files: what names a stage's inputs and a checkpoint's weights.

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"

namespace aha {

/// Incremental SHA-256. Add in any number of pieces, then ask once for the 64 hex digits.
class ContentHash {
 public:
  ContentHash();
  ~ContentHash();
  ContentHash(ContentHash&&) noexcept;
  ContentHash& operator=(ContentHash&&) noexcept;
  ContentHash(const ContentHash&) = delete;
  ContentHash& operator=(const ContentHash&) = delete;

  ContentHash& Add(std::span<const std::byte> bytes);
  ContentHash& Add(std::string_view text);
  /// Length first, then the text: fields added in turn cannot run into one another.
  ContentHash& AddField(std::string_view text);
  /// Lower-case hex. The object is spent afterwards.
  [[nodiscard]] std::string Hex();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// SHA-256 of `text`, as `sha256sum` prints it.
std::string HashText(std::string_view text);
/// SHA-256 of a file's bytes, as `sha256sum` prints it. kNotFound when it cannot be read.
Result<std::string> HashFile(const std::filesystem::path& file);

}  // namespace aha
