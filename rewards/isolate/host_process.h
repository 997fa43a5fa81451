#pragma once
/// A plug-in in a process of its own, as its parent sees it.

#include <sys/types.h>

#include <memory>
#include <string>
#include <string_view>

#include "base/deadline.h"
#include "base/result.h"
#include "rewards/isolate/host_protocol.h"

namespace aha::rewards {

/// One process. For one thread at a time. After an error it is dead and good for nothing.
class HostProcess {
 public:
  /// Starts `aha-plugin-host`, from AHA_PLUGIN_HOST in the environment, beside the running program,
  /// or where it was built. kNotFound: there is none; kInvalidArgument: the plug-in refused its
  /// config.
  /// @param config  a frame of host_protocol.h.
  static Result<std::unique_ptr<HostProcess>> Start(const std::string& plugin,
                                                    const std::string& config,
                                                    std::uint32_t memory_mb,
                                                    Deadline deadline);
  /// Kills it.
  ~HostProcess();
  HostProcess(const HostProcess&) = delete;
  HostProcess& operator=(const HostProcess&) = delete;

  /// Sends a frame and waits for the verdict. kTimeout at the deadline; kExhausted when the process
  /// ran into its memory limit; kInternal when it died of anything else (the message says of what).
  Result<host::Verdict> Ask(std::string_view frame, Deadline deadline);

 private:
  HostProcess(pid_t pid, int fd, std::uint32_t memory_mb)
      : pid_(pid), fd_(fd), memory_mb_(memory_mb) {}
  Error Dead(const char* doing);
  Error Late();
  void Kill();

  pid_t pid_;
  int fd_;
  std::uint32_t memory_mb_;
};

}  // namespace aha::rewards
