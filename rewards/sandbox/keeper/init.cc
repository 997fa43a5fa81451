#include "rewards/sandbox/keeper/init.h"

#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

namespace aha::keeper {
namespace {

using rewards::sandbox::kKeptProgram;
using rewards::sandbox::Run;
using rewards::sandbox::View;

void Send(int status, Report::Kind kind, int value, const char* what = "") {
  Report report;
  report.kind = kind;
  report.value = value;
  std::snprintf(report.what, sizeof(report.what), "%s", what);
  WriteAll(status, {reinterpret_cast<const char*>(&report), sizeof(report)});
}

[[noreturn]] void Die(int status, const char* what) {
  Send(status, Report::kError, errno, what);
  _exit(120);
}

void Limit(int status, __rlimit_resource what, std::uint64_t value, const char* name) {
  const rlimit limit{value, value};
  if (setrlimit(what, &limit) != 0) Die(status, name);
}

void SetLimits(int status, const rewards::sandbox::Limits& l) {
  Limit(status, RLIMIT_AS, l.address_space, "RLIMIT_AS");
  Limit(status, RLIMIT_STACK, l.stack, "RLIMIT_STACK");
  Limit(status, RLIMIT_FSIZE, l.tmp, "RLIMIT_FSIZE");
  Limit(status, RLIMIT_NOFILE, l.open_files, "RLIMIT_NOFILE");
  Limit(status, RLIMIT_NPROC, l.processes + 2, "RLIMIT_NPROC");  // with the keeper and the first
  Limit(status, RLIMIT_CPU, l.cpu_ms / 1000 + 1, "RLIMIT_CPU");  // the keeper is more exact
  // One byte: the kernel then runs no core handler either, which at 0 it does.
  Limit(status, RLIMIT_CORE, 1, "RLIMIT_CORE");
  Limit(status, RLIMIT_MEMLOCK, 0, "RLIMIT_MEMLOCK");
  Limit(status, RLIMIT_MSGQUEUE, 0, "RLIMIT_MSGQUEUE");
}

void DropPrivileges(int status) {
  prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  for (unsigned long cap = 0; cap < 64; ++cap) {
    if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) != 0) break;
  }
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct none[2] = {};
  if (syscall(SYS_capset, &header, none) != 0) Die(status, "capset");
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) Die(status, "no_new_privs");
}

void InstallFilter(int status, const std::string& filter) {
  sock_fprog program{};
  program.len = static_cast<unsigned short>(filter.size() / sizeof(sock_filter));
  program.filter = reinterpret_cast<sock_filter*>(const_cast<char*>(filter.data()));
  if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) != 0) Die(status, "seccomp");
}

void ResetSignals() {
  struct sigaction action = {};
  action.sa_handler = SIG_DFL;
  for (int signal = 1; signal < NSIG; ++signal)
    sigaction(signal, &action, nullptr);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
}

std::vector<char*> Pointers(const std::vector<std::string>& texts) {
  std::vector<char*> out;
  for (const std::string& text : texts)
    out.push_back(const_cast<char*>(text.c_str()));
  out.push_back(nullptr);
  return out;
}

// In the program's process, up to its first instruction.
[[noreturn]] void Become(const Setup& setup, const Run& run, Channels* c, int kept) {
  const int status = fcntl(c->status.write.get(), F_DUPFD_CLOEXEC, 10);
  const int program = kept < 0 ? -1 : fcntl(kept, F_DUPFD_CLOEXEC, 10);
  setsid();
  if (dup2(c->in.read.get(), 0) < 0 || dup2(c->out.write.get(), 1) < 0 ||
      dup2(c->err.write.get(), 2) < 0)
    Die(status, "standard descriptors");
  if (run.result_channel && dup2(c->result.write.get(), 3) < 0) Die(status, "result channel");
  if (syscall(SYS_close_range, run.result_channel ? 4U : 3U, ~0U, 4U /* CLOSE_RANGE_CLOEXEC */) !=
      0)
    Die(status, "close_range");
  std::vector<char*> argv = Pointers(run.argv);
  const std::vector<char*> env = Pointers(run.env);
  const bool run_kept = run.argv[0] == kKeptProgram;
  char name[] = "program";
  if (run_kept) argv[0] = name;
  umask(077);
  ResetSignals();
  SetLimits(status, run.limits);
  DropPrivileges(status);
  InstallFilter(status, setup.filter);
  if (run_kept) {
    syscall(SYS_execveat, program, "", argv.data(), env.data(), AT_EMPTY_PATH);
  } else {
    execve(argv[0], argv.data(), env.data());
  }
  Die(status, "starting the program");
}

void Detach(int status, const char* path) {
  if (umount2(path, MNT_DETACH) != 0 && errno != EINVAL && errno != ENOENT) Die(status, path);
}

void MakeRoot(int status, const Run& run) {
  char options[128];
  std::snprintf(options, sizeof(options), "size=%llu,nr_inodes=%llu,mode=0700",
                static_cast<unsigned long long>(run.limits.tmp),
                static_cast<unsigned long long>(run.limits.tmp_files));
  if (mount("tmpfs", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, options) != 0)
    Die(status, "mounting /tmp");
  if (mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, "subset=pid") != 0)
    Die(status, "mounting /proc");
  if (run.view == View::kCompiler) return;
  Detach(status, "/tools/bin");
  Detach(status, "/usr/include");
  if (run.view == View::kInterpreter) return;
  Detach(status, "/usr/bin/python3");
  Detach(status, "/usr/lib");
  Detach(status, "/usr/lib32");
  Detach(status, "/usr/lib64");
}

void WriteFiles(int status, const Run& run) {
  for (const auto& [name, contents] : run.files) {
    const Fd file(open(name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!file.open() || !WriteAll(file.get(), contents)) Die(status, "writing the run's files");
  }
}

// Copies what the run has left; only a regular file of bounded size counts.
bool Keep(const Run& run, int to) {
  const Fd from(open(run.keep.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  struct stat info = {};
  if (!from.open() || fstat(from.get(), &info) != 0 || !S_ISREG(info.st_mode)) return false;
  if (info.st_size <= 0 || static_cast<std::uint64_t>(info.st_size) > run.limits.tmp) return false;
  char buffer[65536];
  off_t size = 0;
  while (size <= info.st_size) {
    const ssize_t n = read(from.get(), buffer, sizeof(buffer));
    if (n == 0) return size == info.st_size;
    if (n < 0 || !WriteAll(to, {buffer, static_cast<std::size_t>(n)})) return false;
    size += n;
  }
  return false;
}

int WaitFor(pid_t program) {
  while (true) {
    int wait_status = 0;
    const pid_t ended = waitpid(-1, &wait_status, 0);
    if (ended == program) return wait_status;
    if (ended < 0 && errno != EINTR) return 0x7f00;
  }
}

[[noreturn]] void Init(const Setup& setup, const Run& run, Channels* c, int kept, int keep_to) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  prctl(PR_SET_DUMPABLE, 0);
  prctl(PR_SET_NAME, "first");
  if (!setup.contained) prctl(PR_SET_CHILD_SUBREAPER, 1);
  const int status = c->status.write.get();
  c->status.read.Reset();
  c->in.write.Reset();
  c->out.read.Reset();
  c->err.read.Reset();
  c->result.read.Reset();
  if (setup.contained) MakeRoot(status, run);
  if (chdir(setup.folder.c_str()) != 0) Die(status, "entering the run's folder");
  WriteFiles(status, run);
  const pid_t program = fork();
  if (program < 0) Die(status, "fork");
  if (program == 0) Become(setup, run, c, kept);
  c->in.read.Reset();
  c->out.write.Reset();
  c->err.write.Reset();
  c->result.write.Reset();
  const int ended = WaitFor(program);
  Send(status, Report::kEnded, ended);
  if (!setup.contained) KillDescendants();
  if (keep_to >= 0 && ended == 0) Send(status, Report::kKept, Keep(run, keep_to) ? 1 : 0);
  _exit(0);
}

}  // namespace

pid_t StartInit(const Setup& setup, const Run& run, Channels* channels, int kept, int keep_to) {
  // As fork, but with namespaces: the keeper has one thread, so the child may do as it likes.
  const unsigned long flags =
      SIGCHLD | (setup.contained ? CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWIPC : 0);
  const long pid = syscall(SYS_clone, flags, nullptr, nullptr, nullptr, nullptr);
  if (pid == 0) Init(setup, run, channels, kept, keep_to);
  return static_cast<pid_t>(pid);
}

bool KillDescendants() {
  const std::string children =
      "/proc/self/task/" + std::to_string(syscall(SYS_gettid)) + "/children";
  const auto end = Clock::now() + std::chrono::seconds(1);
  while (Clock::now() < end) {
    const std::string list = ReadSmall(children.c_str(), 65536);
    for (const char* at = list.c_str(); *at != '\0';) {
      char* next = nullptr;
      const long pid = std::strtol(at, &next, 10);
      if (next == at) break;
      if (pid > 1) kill(static_cast<pid_t>(pid), SIGKILL);
      at = next;
    }
    if (waitpid(-1, nullptr, WNOHANG) < 0 && errno == ECHILD) return true;
    if (list.empty()) usleep(500);
  }
  return false;
}

}  // namespace aha::keeper
