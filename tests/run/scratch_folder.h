#pragma once
/// A folder of a test's own, removed with it.

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include "base/whole_file.h"

namespace aha::pipelines {

class ScratchFolder {
 public:
  ScratchFolder() : path_(testing::TempDir() + "/aha_run_XXXXXX") {
    if (::mkdtemp(path_.data()) == nullptr) std::abort();
  }
  ~ScratchFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  [[nodiscard]] std::filesystem::path path() const { return path_; }

 private:
  std::string path_;
};

inline void Write(const std::filesystem::path& file, std::string_view bytes) {
  std::filesystem::create_directories(file.parent_path());
  std::ofstream(file, std::ios::binary) << bytes;
}

/// "(none)" for a file that is not there.
inline std::string Read(const std::filesystem::path& file) {
  return ReadFile(file).value_or("(none)");
}

}  // namespace aha::pipelines
