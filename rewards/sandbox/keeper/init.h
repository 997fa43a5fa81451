#pragma once
/// The first process of a run: makes the run's own namespaces and files, starts the program, waits
/// for it. When it ends, everything that the program has started ends with it.

#include <sys/types.h>

#include <string>
#include <string_view>

#include "rewards/sandbox/keeper/posix.h"
#include "rewards/sandbox/run.h"

namespace aha::keeper {

/// What does not change from run to run.
struct Setup {
  bool contained = true;  ///< false: no namespaces of our own (the unsafe mode)
  std::string folder;     ///< where a run's files are; /tmp when contained
  std::string filter;     ///< seccomp program: struct sock_filter, one after another
};

/// What the first process reports on its status pipe, in this order.
struct Report {
  enum Kind : std::int32_t { kError, kEnded, kKept };
  Kind kind = kError;
  std::int32_t value = 0;  ///< errno; a wait status; whether the file was kept
  char what[48] = {};      ///< of an error: what was tried
};

/// Descriptors for the run; all are close-on-exec.
struct Channels {
  Pipe in, out, err, result, status;
};

/// Starts the first process; its id, or -1. `kept` is the program kept before, or -1; `keep_to` an
/// empty memory file for what the run shall leave.
pid_t StartInit(const Setup& setup,
                const rewards::sandbox::Run& run,
                Channels* channels,
                int kept,
                int keep_to);

/// Kills and reaps whatever descends from this process, which must be a subreaper; false if
/// something is left after a second.
bool KillDescendants();

}  // namespace aha::keeper
