#pragma once
/// A file mapped into memory, read-only: its bytes cost no memory of their own until they are read.

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>

#include "base/result.h"

namespace aha::policy {

/// Files are replaced by renaming, never rewritten in place: a file that another process cuts short
/// while it is mapped cannot be read safely, except behind `Populate`.
class MappedFile {
 public:
  /// kNotFound when there is none, kInvalidArgument when it is no regular file. An empty file maps
  /// to no bytes.
  static Result<MappedFile> Open(const std::filesystem::path& file);

  /// Valid while this object or a copy of it lives.
  [[nodiscard]] std::span<const std::byte> bytes() const { return bytes_; }
  /// Keeps the mapping alive without this object.
  [[nodiscard]] const std::shared_ptr<const void>& owner() const { return owner_; }

 private:
  std::shared_ptr<const void> owner_;
  std::span<const std::byte> bytes_;
};

/// Reads a part of a mapping from the disk at once instead of page by page. kCorrupt when the file
/// has lost that part since it was mapped (where touching it would kill the process).
Status Populate(std::span<const std::byte> mapped);

/// Gives the pages of a part back; touching it again reads it again. What lies beside it is safe.
void Drop(std::span<const std::byte> mapped);

/// A whole small file (JSON). kCorrupt when it is larger than `most` bytes, before reading it.
Result<std::string> ReadSmallFile(const std::filesystem::path& file, std::uint64_t most);

}  // namespace aha::policy
