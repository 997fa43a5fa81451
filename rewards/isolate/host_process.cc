#include "rewards/isolate/host_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <optional>

extern "C" char** environ;

namespace aha::rewards {
namespace {

constexpr int kChildFd = 3;

Result<std::string> HostProgram() {
  if (const char* given = std::getenv("AHA_PLUGIN_HOST")) return std::string(given);
  std::error_code error;
  const auto program = std::filesystem::read_symlink("/proc/self/exe", error);
  const auto beside = program.parent_path() / "aha-plugin-host";
  if (!error && ::access(beside.c_str(), X_OK) == 0) return beside.string();
  if (::access(AHA_PLUGIN_HOST, X_OK) == 0) return std::string(AHA_PLUGIN_HOST);
  return Fail(Code::kNotFound,
              "no aha-plugin-host beside {}: a plug-in cannot run in a process of its own; install "
              "it there, or name it in AHA_PLUGIN_HOST",
              program.string());
}

Result<pid_t> Spawn(const std::string& program,
                    const std::string& plugin,
                    std::uint32_t memory_mb,
                    int fd) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, fd, kChildFd);
  posix_spawn_file_actions_addclosefrom_np(&actions, kChildFd + 1);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  // Signals that this process blocks or ignores are nothing to the plug-in.
  sigset_t none;
  sigset_t all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  std::string fd_text = std::to_string(kChildFd);
  std::string memory = std::to_string(memory_mb);
  std::string file = plugin;
  std::string name = program;
  std::array<char*, 5> arguments = {name.data(), fd_text.data(), file.data(), memory.data(),
                                    nullptr};
  pid_t pid = 0;
  const int error =
      posix_spawn(&pid, program.c_str(), &actions, &attributes, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  if (error != 0)
    return Fail(Code::kExhausted, "{}: cannot be started: {}", program, std::strerror(error));
  return pid;
}

// Waits until the descriptor can be read or written; false at the deadline.
bool Ready(int fd, short events, Deadline deadline) {
  while (true) {
    pollfd item{fd, events, 0};
    const int n =
        poll(&item, 1, static_cast<int>(std::min<std::int64_t>(deadline.left().count(), 3600000)));
    if (n > 0) return true;
    if (n == 0 && deadline.passed()) return false;
    if (n < 0 && errno != EINTR) return true;  // the read or write that follows says what is wrong
  }
}

}  // namespace

Result<std::unique_ptr<HostProcess>> HostProcess::Start(const std::string& plugin,
                                                        const std::string& config,
                                                        std::uint32_t memory_mb,
                                                        Deadline deadline) {
  AHA_ASSIGN(const std::string program, HostProgram());
  std::array<int, 2> ends{};
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) {
    return Fail(Code::kExhausted, "no descriptor left for a plug-in's process");
  }
  const auto pid = Spawn(program, plugin, memory_mb, ends[1]);
  ::close(ends[1]);
  if (!pid) {
    ::close(ends[0]);
    return tl::unexpected<Error>(pid.error());
  }
  fcntl(ends[0], F_SETFL, O_NONBLOCK);
  std::unique_ptr<HostProcess> process(new HostProcess(*pid, ends[0], memory_mb));
  AHA_ASSIGN(const host::Verdict created, process->Ask(config, deadline));
  if (created.failure != 0) {
    return Fail(Code::kInvalidArgument, "{}: the plug-in refused its config: {}", plugin,
                std::string_view(created.detail, strnlen(created.detail, sizeof(created.detail))));
  }
  return process;
}

HostProcess::~HostProcess() {
  Kill();
  ::close(fd_);
}

void HostProcess::Kill() {
  if (pid_ <= 0) return;
  kill(pid_, SIGKILL);
  while (waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
}

Error HostProcess::Late() {
  Kill();
  return {Code::kTimeout, "the plug-in's process did not answer in time and was killed"};
}

Error HostProcess::Dead(const char* doing) {
  // It closes its end when it dies: its status is there now, or in a moment.
  int status = 0;
  const Deadline soon = Deadline::After(std::chrono::seconds(1));
  pid_t ended = 0;
  while ((ended = waitpid(pid_, &status, WNOHANG)) == 0 && !soon.passed())
    usleep(1000);
  if (ended == 0) return Late();
  pid_ = -1;
  if (WIFEXITED(status) && WEXITSTATUS(status) == host::kOutOfMemory) {
    return {Code::kExhausted,
            fmt::format("the plug-in's process reached its memory limit of {} MiB", memory_mb_)};
  }
  if (WIFSIGNALED(status)) {
    const int signal = WTERMSIG(status);
    return {Code::kInternal, fmt::format("the plug-in's process died {} of signal {} ({})", doing,
                                         signal, strsignal(signal))};
  }
  return {Code::kInternal, fmt::format("the plug-in's process ended {} with exit code {}", doing,
                                       WEXITSTATUS(status))};
}

Result<host::Verdict> HostProcess::Ask(std::string_view frame, Deadline deadline) {
  const auto lost = [](Error error) { return tl::unexpected<Error>(std::move(error)); };
  while (!frame.empty()) {
    const ssize_t n = send(fd_, frame.data(), frame.size(), MSG_NOSIGNAL);
    if (n > 0) {
      frame.remove_prefix(static_cast<std::size_t>(n));
    } else if (errno == EAGAIN) {
      if (!Ready(fd_, POLLOUT, deadline)) return lost(Late());
    } else if (errno != EINTR) {
      return lost(Dead("while it was read to"));
    }
  }
  host::Verdict verdict;
  for (std::size_t got = 0; got < sizeof(verdict);) {
    const ssize_t n = recv(fd_, reinterpret_cast<char*>(&verdict) + got, sizeof(verdict) - got, 0);
    if (n > 0) {
      got += static_cast<std::size_t>(n);
    } else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
      return lost(Dead("while it scored"));
    } else if (errno == EAGAIN && !Ready(fd_, POLLIN, deadline)) {
      return lost(Late());
    }
  }
  return verdict;
}

}  // namespace aha::rewards
