#pragma once
/// Which system calls a program may make.

#include <string>

#include "base/result.h"

namespace aha::rewards::sandbox {

/// A seccomp program (struct sock_filter, one after another) that allows what computing, files of
/// one's own, threads, pipes and UNIX sockets need. The rest is answered with ENOSYS; what reaches
/// for the kernel's or other processes' insides (ptrace, mount, namespaces, bpf, keyctl, io_uring,
/// perf, userfaultfd, raw and network sockets, ...) with EPERM. A foreign ABI (32-bit, x32) kills.
/// kInternal when libseccomp refuses.
Result<std::string> SeccompProgram();

}  // namespace aha::rewards::sandbox
