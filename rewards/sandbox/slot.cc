#include "rewards/sandbox/slot.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <thread>
#include <utility>
#include <vector>

#include "base/deadline.h"
#include "rewards/sandbox/image.h"
#include "rewards/sandbox/protocol.h"

namespace aha::rewards::sandbox {
namespace {

constexpr std::chrono::milliseconds kStartTime(10000);
constexpr std::chrono::milliseconds kGrace(5000);  // for the keeper, beyond a run's wall limit

// A copy of `fd` above the numbers that a keeper is born with.
int Above(int fd) {
  const int high = fcntl(fd, F_DUPFD_CLOEXEC, 10);
  close(fd);
  return high;
}

int MakeImage() {
  const int fd = memfd_create("keeper", MFD_CLOEXEC);
  std::string_view rest = KeeperImage();
  while (fd >= 0 && !rest.empty()) {
    const ssize_t n = write(fd, rest.data(), rest.size());
    if (n <= 0) {
      close(fd);
      return -1;
    }
    rest.remove_prefix(static_cast<std::size_t>(n));
  }
  return fd < 0 || lseek(fd, 0, SEEK_SET) != 0 ? -1 : Above(fd);
}

// Whether `user` exists in this process's user namespace (all do outside of containers).
bool IsMapped(std::uint64_t user) {
  std::ifstream map("/proc/self/uid_map");
  for (std::uint64_t inside = 0, outside = 0, length = 0; map >> inside >> outside >> length;) {
    if (user >= inside && user - inside < length) return true;
  }
  return false;
}

// Of root's slots no two on this machine share a user id, so that limits by user count one slot
// alone. In a container that has few ids, one of those, and the caller's where there is no other.
uid_t SlotUser() {
  static std::atomic<unsigned> counter{0};
  const unsigned number = counter++ & 0x7FU;
  if (geteuid() != 0) return geteuid();
  const uid_t own = 0x40000000U + ((static_cast<unsigned>(getpid()) & 0x3FFFFFU) << 7) + number;
  if (IsMapped(own)) return own;
  return IsMapped(60000 + number) ? 60000 + number : 0;
}

}  // namespace

Result<std::unique_ptr<Slot>> Slot::Start(const SlotOptions& options) {
  std::unique_ptr<Slot> slot(new Slot());
  AHA_TRY(slot->Spawn(options));
  AHA_TRY(slot->Greet(options));
  return slot;
}

Status Slot::Spawn(const SlotOptions& options) {
  const uid_t user = SlotUser();
  const bool changes = user != geteuid();
  unsafe_ = options.unsafe;
  if (options.group_home) group_ = ControlGroup::Make(*options.group_home, options.group_limits);
  std::vector<std::string> command = {"keeper", "launch", std::to_string(user),
                                      std::to_string(changes ? user : getegid()),
                                      group_ ? "group" : "-"};
  if (unsafe_) {
    char folder[] = "/tmp/aha-run-XXXXXX";
    if (mkdtemp(folder) == nullptr)
      return Fail(Code::kInternal, "sandbox: no folder under /tmp: {}", std::strerror(errno));
    folder_ = folder;
    if (changes && chown(folder, user, user) != 0)
      return Fail(Code::kInternal, "sandbox: {}: {}", folder_, std::strerror(errno));
    command.insert(command.end(), {"/proc/self/fd/4", "keep-unsafe", folder_});
  } else {
    if (options.layout.bubblewrap.empty())
      return Fail(Code::kInternal, "sandbox: bubblewrap (bwrap) is not installed");
    folder_ = "/tmp";
    for (std::string& argument : BubblewrapCommand(options.layout, kImageFd))
      command.push_back(std::move(argument));
  }
  int control[2], complaints[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, control) != 0)
    return Fail(Code::kExhausted, "sandbox: no socket: {}", std::strerror(errno));
  control_ = control[0];
  if (pipe2(complaints, O_CLOEXEC | O_NONBLOCK) != 0) {
    close(control[1]);
    return Fail(Code::kExhausted, "sandbox: no pipe: {}", std::strerror(errno));
  }
  complaints_ = complaints[0];
  const int door = group_ ? Above(group_->OpenDoor()) : -1;
  const int theirs = Above(control[1]), said = Above(complaints[1]), image = MakeImage();
  const std::string program = "/proc/self/fd/" + std::to_string(image);
  std::vector<char*> argv;
  for (const std::string& argument : command)
    argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  char* env[] = {nullptr};  // what is not there cannot be read in there

  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  posix_spawn_file_actions_init(&actions);
  posix_spawnattr_init(&attributes);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDWR, 0);
  posix_spawn_file_actions_adddup2(&actions, 0, 1);
  posix_spawn_file_actions_adddup2(&actions, said, 2);
  posix_spawn_file_actions_adddup2(&actions, theirs, kControlFd);
  posix_spawn_file_actions_adddup2(&actions, image, kImageFd);
  if (door >= 0) posix_spawn_file_actions_adddup2(&actions, door, kGroupFd);
  sigset_t none, all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  // A session of its own: Ctrl-C in the caller's terminal is not meant for it.
  posix_spawnattr_setflags(&attributes,
                           POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  const int error =
      image < 0 ? ENOMEM
                : posix_spawn(&launcher_, program.c_str(), &actions, &attributes, argv.data(), env);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  for (const int fd : {theirs, said, image, door}) {
    if (fd >= 0) close(fd);
  }
  if (error == 0) return {};
  launcher_ = -1;
  return Fail(Code::kInternal, "sandbox: starting its keeper: {}", std::strerror(error));
}

Status Slot::Greet(const SlotOptions& options) {
  auto hello = Receive(kStartTime, 1024);
  if (!hello || Reader(*hello).Text() != kHello) {
    std::string said = Complaints();
    if (said.empty()) said = hello ? "another keeper answers" : hello.error().message;
    return Fail(Code::kInternal, "sandbox: it cannot be set up: {}", said);
  }
  return Send(options.filter);
}

Slot::~Slot() {
  if (control_ >= 0) close(control_);  // the keeper ends when it sees this
  if (launcher_ > 0) {
    const auto deadline = Deadline::After(std::chrono::milliseconds(broken_ ? 50 : 2000));
    pid_t ended = 0;
    while ((ended = waitpid(launcher_, nullptr, WNOHANG)) == 0 && !deadline.passed())
      std::this_thread::sleep_for(std::chrono::microseconds(300));
    if (ended == 0) {
      kill(launcher_, SIGKILL);  // takes bubblewrap and the keeper along
      waitpid(launcher_, nullptr, 0);
    }
  }
  group_.reset();  // empty by now
  if (complaints_ >= 0) close(complaints_);
  std::error_code ignored;
  if (unsafe_ && !folder_.empty()) std::filesystem::remove_all(folder_, ignored);
}

Result<RunResult> Slot::Execute(const Run& run) {
  const auto fail = [&](std::string_view what) {
    broken_ = true;
    const std::string said = Complaints();
    return Fail(Code::kInternal, "sandbox: {}{}{}", what, said.empty() ? "" : "; ", said);
  };
  if (broken_) return fail("it is broken");
  const std::uint64_t killed = group_ ? group_->KilledForMemory() : 0;
  if (const auto sent = Send(Encode(run)); !sent) return fail(sent.error().message);
  const auto& l = run.limits;
  const auto reply =
      Receive(std::chrono::milliseconds(l.wall_ms) + kGrace, 2 * l.output + l.result + 65536);
  if (!reply) return fail(reply.error().message);
  RunResult result;
  std::string failure;
  if (!Decode(*reply, &result, &failure)) return fail(failure);
  if (result.end == End::kSignalled && group_ && group_->KilledForMemory() > killed)
    result.end = End::kMemoryLimit;
  return result;
}

Status Slot::Send(const std::string& message) {
  const std::uint64_t size = message.size();
  const auto deadline = Deadline::After(kGrace);
  std::string_view parts[] = {{reinterpret_cast<const char*>(&size), sizeof(size)}, message};
  for (std::string_view rest : parts) {
    while (!rest.empty()) {
      const ssize_t n = send(control_, rest.data(), rest.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
      if (n > 0) {
        rest.remove_prefix(static_cast<std::size_t>(n));
        continue;
      }
      if (n < 0 && errno != EAGAIN && errno != EINTR)
        return Fail(Code::kInternal, "the keeper has gone: {}", std::strerror(errno));
      if (deadline.passed()) return Fail(Code::kTimeout, "the keeper does not listen");
      pollfd wait = {control_, POLLOUT, 0};
      poll(&wait, 1, static_cast<int>(deadline.left().count()));
    }
  }
  return {};
}

Result<std::string> Slot::Receive(std::chrono::milliseconds patience, std::uint64_t most) {
  const auto deadline = Deadline::After(patience);
  std::uint64_t size = 0;
  std::string message;
  const auto read_into = [&](char* to, std::size_t count) -> Status {
    while (count > 0) {
      const ssize_t n = recv(control_, to, count, MSG_DONTWAIT);
      if (n > 0) {
        to += n;
        count -= static_cast<std::size_t>(n);
        continue;
      }
      if (n == 0) return Fail(Code::kInternal, "the keeper has ended");
      if (errno != EAGAIN && errno != EINTR)
        return Fail(Code::kInternal, "reading from the keeper: {}", std::strerror(errno));
      if (deadline.passed())
        return Fail(Code::kTimeout, "no word from the keeper for {} ms", patience.count());
      pollfd wait = {control_, POLLIN, 0};
      poll(&wait, 1, static_cast<int>(deadline.left().count()));
    }
    return {};
  };
  AHA_TRY(read_into(reinterpret_cast<char*>(&size), sizeof(size)));
  if (size > most) return Fail(Code::kInternal, "the keeper sends {} bytes, too many", size);
  message.resize(size);
  AHA_TRY(read_into(message.data(), message.size()));
  return message;
}

std::string Slot::Complaints() const {
  char buffer[1024];
  // The pipe does not block; what was said last is given a moment to arrive.
  pollfd wait = {complaints_, POLLIN, 0};
  poll(&wait, 1, 20);
  const ssize_t n = read(complaints_, buffer, sizeof(buffer));
  std::string said(buffer, n > 0 ? static_cast<std::size_t>(n) : 0);
  for (char& c : said)
    c = c == '\n' ? ' ' : c;
  while (!said.empty() && said.back() == ' ')
    said.pop_back();
  return said;
}

}  // namespace aha::rewards::sandbox
