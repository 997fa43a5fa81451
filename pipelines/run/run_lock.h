#pragma once
/// One process at a time works in a run directory.

#include <filesystem>

#include "base/result.h"
#include "pipelines/run/descriptor.h"

namespace aha::pipelines {

/// An exclusive flock on DIR/lock, which the kernel lets go when its owner dies, however it dies.
/// The file says who the owner is; it stays behind when the lock is free, and means nothing then.
class RunLock {
 public:
  /// Takes the lock or fails at once: kBusy, "runs/x is in use by pid 123 on host h since ...".
  static Result<RunLock> Take(const std::filesystem::path& folder);

 private:
  explicit RunLock(Descriptor fd) : fd_(std::move(fd)) {}
  Descriptor fd_;
};

}  // namespace aha::pipelines
