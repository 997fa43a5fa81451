#pragma once
/// One sandbox, kept warm: its namespaces and its keeper stand ready, each run gets new processes
/// and new files.

#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "base/result.h"
#include "rewards/sandbox/control_group.h"
#include "rewards/sandbox/layout.h"
#include "rewards/sandbox/run.h"

namespace aha::rewards::sandbox {

struct SlotOptions {
  Layout layout;
  std::string filter;                               ///< SeccompProgram()
  bool unsafe = false;                              ///< without bubblewrap: limits and filter alone
  std::optional<std::filesystem::path> group_home;  ///< FindGroupHome()
  GroupLimits group_limits;
};

/// For one thread at a time. The destructor ends every process of the slot.
class Slot {
 public:
  /// kInternal: it cannot be set up; the message has what bubblewrap or the kernel said. Started by
  /// root, the slot lives under a user id of its own.
  static Result<std::unique_ptr<Slot>> Start(const SlotOptions& options);
  ~Slot();
  Slot(const Slot&) = delete;
  Slot& operator=(const Slot&) = delete;

  /// Runs a program to its end or to its limits. kInternal: the sandbox failed, nothing is known
  /// about the program; the slot is then broken. Returns within the wall limit and some seconds.
  Result<RunResult> Execute(const Run& run);
  [[nodiscard]] bool broken() const { return broken_; }
  /// The process under which all others of the slot live.
  [[nodiscard]] pid_t launcher() const { return launcher_; }
  /// The C++ compiler, as a run sees it.
  [[nodiscard]] const char* compiler() const { return unsafe_ ? kHostCompiler : kCompilerPath; }

 private:
  Slot() = default;
  Status Spawn(const SlotOptions& options);
  Status Greet(const SlotOptions& options);
  Status Send(const std::string& message);
  Result<std::string> Receive(std::chrono::milliseconds patience, std::uint64_t most);
  [[nodiscard]] std::string Complaints() const;

  pid_t launcher_ = -1;
  int control_ = -1;
  int complaints_ = -1;                  // what the launcher and bubblewrap say on standard error
  std::unique_ptr<ControlGroup> group_;  // null where there is none
  std::string folder_;                   // made and removed by us when unsafe
  bool unsafe_ = false;
  bool broken_ = false;
};

}  // namespace aha::rewards::sandbox
