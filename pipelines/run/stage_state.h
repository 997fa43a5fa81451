#pragma once
/// The commit point of a stage (law 4): kill the process at any instant, and the stage's folder can
/// be brought back to exactly what it was at its last commit.

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>

#include "base/result.h"
#include "proto/records.pb.h"

namespace aha::pipelines {

/// STAGE/state/: versioned folders and the file `commit`, which says which one is in force and how
/// long the stage's append-only files were. One owner at a time, who holds the run's lock.
class StageState {
 public:
  explicit StageState(std::filesystem::path stage_folder);

  /// The commit in force; nothing before the first. kCorrupt when the pointer is damaged or its
  /// folder is gone.
  [[nodiscard]] Result<std::optional<proto::Commit>> Latest() const;

  /// Makes a commit of `step` finished steps, in an order that is safe to cut anywhere: syncs the
  /// append-only files (paths relative to the stage's folder; one that does not exist counts 0
  /// bytes), has `fill` write the new folder aside and renames it to step-N, renames the pointer,
  /// and only then deletes all folders but this one and the one before. Nothing may append
  /// meanwhile. kInvalidArgument when `step` is behind the commit in force.
  Status Commit(std::uint64_t step,
                const std::function<Status(const std::filesystem::path& aside)>& fill,
                std::span<const std::string> append_only);

  /// Brings the stage's folder back to `commit` (what Latest() gave): cuts the append-only files to
  /// their committed lengths, removes those the commit does not know, and what an interrupted write
  /// left behind. Without a commit, everything of it is removed: the stage starts over. kCorrupt,
  /// before anything is changed, when a file is shorter than its commit says.
  Status Restore(const std::optional<proto::Commit>& commit,
                 std::span<const std::string> append_only);

  /// The folder of a commit.
  [[nodiscard]] std::filesystem::path FolderOf(const proto::Commit& commit) const;

 private:
  Status SyncAppended(std::span<const std::string> append_only, proto::Commit& commit) const;

  std::filesystem::path stage_;
  std::filesystem::path state_;
};

}  // namespace aha::pipelines
