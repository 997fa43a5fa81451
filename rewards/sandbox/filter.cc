#include "rewards/sandbox/filter.h"

#include <linux/sched.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>

namespace aha::rewards::sandbox {
namespace {

// clang-format off
constexpr const char* kAllowed[] = {
    // files
    "read", "write", "open", "openat", "openat2", "close", "close_range", "stat", "fstat", "lstat", "newfstatat",
    "statx", "statfs", "fstatfs", "lseek", "pread64", "pwrite64", "readv", "writev", "preadv", "pwritev", "preadv2",
    "pwritev2", "access", "faccessat", "faccessat2", "dup", "dup2", "dup3", "fcntl", "flock", "fsync", "fdatasync",
    "sync_file_range", "truncate", "ftruncate", "fallocate", "getdents", "getdents64", "getcwd", "chdir", "fchdir",
    "rename", "renameat", "renameat2", "mkdir", "mkdirat", "rmdir", "creat", "link", "linkat", "unlink", "unlinkat",
    "symlink", "symlinkat", "readlink", "readlinkat", "chmod", "fchmod", "fchmodat", "chown", "fchown", "lchown",
    "fchownat", "umask", "utime", "utimes", "utimensat", "futimesat", "getxattr", "lgetxattr", "fgetxattr",
    "listxattr", "llistxattr", "flistxattr", "sendfile", "splice", "tee", "copy_file_range", "readahead", "fadvise64",
    "mknod", "mknodat", "pipe", "pipe2", "select", "pselect6", "poll", "ppoll", "epoll_create", "epoll_create1",
    "epoll_ctl", "epoll_wait", "epoll_pwait", "epoll_pwait2", "eventfd", "eventfd2", "signalfd", "signalfd4",
    "timerfd_create", "timerfd_settime", "timerfd_gettime", "inotify_init", "inotify_init1", "inotify_add_watch",
    "inotify_rm_watch",
    // memory
    "mmap", "mprotect", "munmap", "brk", "mremap", "msync", "mincore", "madvise", "membarrier", "mlock", "munlock",
    "mlock2", "mlockall", "munlockall", "pkey_alloc", "pkey_free", "pkey_mprotect", "get_mempolicy",
    // processes, threads, signals
    "execve", "execveat", "fork", "vfork", "exit", "exit_group", "wait4", "waitid", "kill", "tkill", "tgkill",
    "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "rt_sigpending", "rt_sigtimedwait", "rt_sigqueueinfo",
    "rt_tgsigqueueinfo", "rt_sigsuspend", "sigaltstack", "restart_syscall", "pause", "getpid", "getppid", "gettid",
    "getuid", "geteuid", "getgid", "getegid", "getresuid", "getresgid", "getgroups", "setuid", "setgid", "setreuid",
    "setregid", "setresuid", "setresgid", "setpgid", "getpgid", "getpgrp", "setsid", "getsid", "set_tid_address",
    "set_robust_list", "get_robust_list", "futex", "futex_waitv", "rseq", "arch_prctl", "sched_yield",
    "sched_getaffinity", "sched_setaffinity", "sched_getparam", "sched_setparam", "sched_getscheduler",
    "sched_setscheduler", "sched_get_priority_max", "sched_get_priority_min", "sched_rr_get_interval",
    "sched_getattr", "getpriority", "setpriority", "getrlimit", "setrlimit", "prlimit64", "getrusage", "times",
    "getcpu", "capget", "pidfd_open", "pidfd_send_signal",
    // time
    "time", "gettimeofday", "clock_gettime", "clock_getres", "clock_nanosleep", "nanosleep", "alarm", "getitimer",
    "setitimer", "timer_create", "timer_settime", "timer_gettime", "timer_getoverrun", "timer_delete",
    // machine and UNIX sockets (socket and socketpair: below)
    "uname", "sysinfo", "getrandom", "connect", "bind", "listen", "accept", "accept4", "shutdown", "sendto",
    "recvfrom", "sendmsg", "recvmsg", "sendmmsg", "recvmmsg", "getsockname", "getpeername", "setsockopt",
    "getsockopt"};

// Named, so that a program is told "not permitted" and not "no such call".
constexpr const char* kForbidden[] = {
    "ptrace", "process_vm_readv", "process_vm_writev", "process_madvise", "process_mrelease", "pidfd_getfd", "kcmp",
    "mount", "umount2", "pivot_root", "chroot", "move_mount", "open_tree", "fsopen", "fsconfig", "fsmount", "fspick",
    "mount_setattr", "unshare", "setns", "keyctl", "add_key", "request_key", "bpf", "userfaultfd", "io_uring_setup",
    "io_uring_enter", "io_uring_register", "io_setup", "perf_event_open", "init_module", "finit_module",
    "delete_module", "kexec_load", "kexec_file_load", "reboot", "swapon", "swapoff", "sethostname", "setdomainname",
    "acct", "quotactl", "syslog", "iopl", "ioperm", "modify_ldt", "open_by_handle_at", "name_to_handle_at",
    "lookup_dcookie", "fanotify_init", "memfd_create", "memfd_secret", "shmget", "shmat", "shmctl", "msgget", "msgsnd",
    "msgrcv", "msgctl", "semget", "semop", "semctl", "semtimedop", "mq_open", "mq_unlink", "settimeofday",
    "clock_settime", "clock_adjtime", "adjtimex", "vhangup", "seccomp", "move_pages", "migrate_pages", "mbind",
    "set_mempolicy", "setgroups", "setfsuid", "setfsgid", "capset", "landlock_create_ruleset", "vmsplice"};
// clang-format on

constexpr unsigned long kNewNamespaces = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS |
                                         CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET;

class Builder {
 public:
  explicit Builder(scmp_filter_ctx context) : context_(context) {}

  // A name that this architecture or libseccomp does not know keeps the default, ENOSYS.
  template <class... Conditions>
  void Add(std::uint32_t action, const char* name, Conditions... conditions) {
    const int number = seccomp_syscall_resolve_name(name);
    if (number < 0 || failed_ != nullptr) return;
    if (seccomp_rule_add(context_, action, number, sizeof...(conditions), conditions...) != 0)
      failed_ = name;
  }
  [[nodiscard]] const char* failed() const { return failed_; }

 private:
  scmp_filter_ctx context_;
  const char* failed_ = nullptr;
};

void AddRules(Builder* b) {
  const std::uint32_t refuse = SCMP_ACT_ERRNO(EPERM);
  for (const char* name : kAllowed)
    b->Add(SCMP_ACT_ALLOW, name);
  for (const char* name : kForbidden)
    b->Add(refuse, name);
  // clone without new namespaces; clone3 hides its flags in memory and keeps ENOSYS, whereupon the
  // C library uses clone.
  b->Add(SCMP_ACT_ALLOW, "clone", SCMP_A0(SCMP_CMP_MASKED_EQ, kNewNamespaces, 0));
  for (const char* name : {"socket", "socketpair"}) {
    b->Add(SCMP_ACT_ALLOW, name, SCMP_A0(SCMP_CMP_EQ, AF_UNIX, 0));
    b->Add(refuse, name, SCMP_A0(SCMP_CMP_NE, AF_UNIX, 0));
  }
  // Reading about terminals and descriptors, not pushing characters into one.
  for (const unsigned long request :
       {0x5401UL /*TCGETS*/, 0x5413UL /*TIOCGWINSZ*/, 0x541BUL /*FIONREAD*/, 0x5421UL /*FIONBIO*/,
        0x5450UL /*FIONCLEX*/, 0x5451UL /*FIOCLEX*/}) {
    b->Add(SCMP_ACT_ALLOW, "ioctl", SCMP_A1(SCMP_CMP_MASKED_EQ, 0xFFFFFFFFUL, request));
  }
  for (const unsigned long option :
       {PR_SET_NAME, PR_GET_NAME, PR_SET_PDEATHSIG, PR_GET_PDEATHSIG, PR_GET_DUMPABLE,
        PR_CAPBSET_READ, PR_GET_NO_NEW_PRIVS, PR_SET_VMA, PR_SET_TIMERSLACK, PR_GET_TIMERSLACK}) {
    b->Add(SCMP_ACT_ALLOW, "prctl", SCMP_A0(SCMP_CMP_EQ, option, 0));
  }
  b->Add(SCMP_ACT_ALLOW, "personality",
         SCMP_A0(SCMP_CMP_EQ, 0xFFFFFFFFUL, 0));  // asks, sets nothing
}

}  // namespace

Result<std::string> SeccompProgram() {
  const std::unique_ptr<void, void (*)(void*)> context(seccomp_init(SCMP_ACT_ERRNO(ENOSYS)),
                                                       [](void* c) { seccomp_release(c); });
  if (context == nullptr) return Fail(Code::kInternal, "sandbox: libseccomp does not start");
  seccomp_attr_set(context.get(), SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
  seccomp_attr_set(context.get(), SCMP_FLTATR_CTL_OPTIMIZE, 2);
  Builder builder(context.get());
  AddRules(&builder);
  if (builder.failed() != nullptr) {
    return Fail(Code::kInternal, "sandbox: libseccomp refuses a rule for {}", builder.failed());
  }
  const int file = memfd_create("filter", MFD_CLOEXEC);
  if (file < 0) return Fail(Code::kExhausted, "sandbox: no memory file: {}", std::strerror(errno));
  std::string program;
  if (seccomp_export_bpf(context.get(), file) == 0 && lseek(file, 0, SEEK_SET) == 0) {
    char buffer[4096];
    for (ssize_t n = 0; (n = read(file, buffer, sizeof(buffer))) > 0;)
      program.append(buffer, static_cast<std::size_t>(n));
  }
  close(file);
  if (program.empty()) return Fail(Code::kInternal, "sandbox: libseccomp exports no filter");
  return program;
}

}  // namespace aha::rewards::sandbox
