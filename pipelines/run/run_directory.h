#pragma once
/// A run's directory: locked by the one process that works in it. docs/run_directory.md specifies
/// every file.

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "pipelines/run/run_lock.h"
#include "pipelines/run/stage_graph.h"

namespace aha::pipelines {

class RunDirectory {
 public:
  /// Creates the directory when needed and takes its lock, held until this object goes. kBusy when
  /// another process has it (the message names its owner); kInvalidArgument when it cannot be
  /// created or written.
  static Result<RunDirectory> Open(const std::filesystem::path& path);

  /// What became of an older recipe.
  enum class Stored { kNew, kSame, kChanged };

  /// Keeps the resolved recipe (see ResolvedText) as recipe.textproto. Another recipe in its place
  /// is allowed: WhyRun tells stage by stage what must then run again.
  Result<Stored> StoreRecipe(std::string_view resolved_text) const;

  /// The recipe stored last; nothing when there is none.
  [[nodiscard]] Result<std::optional<std::string>> StoredRecipe() const;

  /// stages.textproto; an empty graph when there is none. kCorrupt when it is damaged.
  [[nodiscard]] Result<proto::StageGraph> ReadStages() const;
  Status WriteStages(const proto::StageGraph& graph) const;

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  [[nodiscard]] std::filesystem::path StageFolder(std::string_view stage) const {
    return path_ / stage;
  }

 private:
  RunDirectory(std::filesystem::path path, RunLock lock)
      : path_(std::move(path)), lock_(std::move(lock)) {}

  std::filesystem::path path_;
  RunLock lock_;
};

}  // namespace aha::pipelines
