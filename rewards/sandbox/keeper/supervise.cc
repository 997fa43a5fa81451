#include "rewards/sandbox/keeper/supervise.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <optional>
#include <vector>

#include "rewards/sandbox/keeper/meter.h"

namespace aha::keeper {
namespace {

using rewards::sandbox::End;
using rewards::sandbox::Limits;
using rewards::sandbox::Run;
using rewards::sandbox::RunResult;
using std::chrono::milliseconds;

constexpr milliseconds kTick(10);
constexpr milliseconds kReapTime(2000);
constexpr std::size_t kErrorKept = 16384;

class Supervisor {
 public:
  Supervisor(const Run& run, int control, Channels* c, pid_t first, RunResult* result)
      : run_(run), control_(control), c_(*c), first_(first), result_(*result) {
    for (const Fd* fd :
         {&c_.in.write, &c_.out.read, &c_.err.read, &c_.result.read, &c_.status.read})
      if (fd->open()) SetNonBlocking(fd->get());
  }

  // Until the first process is gone. False: it could not be killed.
  bool Watch() {
    Clock::time_point tick = start_ + kTick;
    while (c_.status.read.open()) {
      PollOnce(tick);
      const auto now = Clock::now();
      if (killed_at_ && now > *killed_at_ + kReapTime) return false;
      if (now < tick) continue;
      tick = now + kTick;
      CheckLimits(now);
    }
    return true;
  }

  // After Watch: what is still in the pipes, and the verdict of the clocks. Empty, or why the run
  // did not take place.
  std::string Finish() {
    int wait_status = 0;
    rusage usage = {};
    if (!Gone() || wait4(first_, &wait_status, 0, &usage) < 0) return "the run does not end";
    Drain();
    const auto micros = [](const timeval& t) {
      return static_cast<std::uint64_t>(t.tv_sec) * 1000000 + static_cast<std::uint64_t>(t.tv_usec);
    };
    result_.cpu_us = micros(usage.ru_utime) + micros(usage.ru_stime);
    result_.wall_us = static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - start_).count());
    if (!limit_ && result_.cpu_us > run_.limits.cpu_ms * 1000) limit_ = End::kCpuLimit;
    return Verdict();
  }

 private:
  // The kernel ends all processes of the run before it lets go of the first.
  bool Gone() const {
    const Fd handle(static_cast<int>(syscall(SYS_pidfd_open, first_, 0)));
    pollfd wait = {handle.get(), POLLIN, 0};
    return handle.open() && poll(&wait, 1, static_cast<int>(kReapTime.count())) == 1;
  }

  void Kill(End why) {
    if (limit_) return;
    limit_ = why;
    killed_at_ = Clock::now();
    kill(first_, SIGKILL);
  }

  void CheckLimits(Clock::time_point now) {
    if (limit_) return;
    const Usage usage = Measure();
    result_.peak_memory = std::max(result_.peak_memory, usage.memory);
    if (usage.memory > run_.limits.memory) return Kill(End::kMemoryLimit);
    if (usage.cpu_ms > run_.limits.cpu_ms) return Kill(End::kCpuLimit);
    if (now - start_ > milliseconds(run_.limits.wall_ms)) Kill(End::kWallLimit);
  }

  void PollOnce(Clock::time_point tick) {
    std::vector<pollfd> fds = {{control_, POLLRDHUP, 0}};
    const auto add = [&](const Fd& fd, short events) {
      if (fd.open()) fds.push_back({fd.get(), events, 0});
    };
    add(c_.status.read, POLLIN);
    add(c_.in.write, POLLOUT);
    add(c_.out.read, POLLIN);
    add(c_.err.read, POLLIN);
    add(c_.result.read, POLLIN);
    const auto left = std::chrono::ceil<milliseconds>(tick - Clock::now()).count();
    poll(fds.data(), fds.size(), static_cast<int>(std::clamp<long>(left, 0, 1000)));
    if ((fds[0].revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0) {
      kill(first_, SIGKILL);  // nobody is left to tell
      _exit(0);
    }
    Feed();
    ReadReports();
    Collect(&c_.out.read, &result_.out, run_.limits.output);
    Collect(&c_.err.read, &result_.err, run_.limits.output);
    Collect(&c_.result.read, &result_.result, run_.limits.result);
  }

  void Feed() {
    while (c_.in.write.open()) {
      const std::string_view rest = run_.input.substr(fed_);
      if (rest.empty()) return c_.in.write.Reset();
      const ssize_t n =
          write(c_.in.write.get(), rest.data(), std::min<std::size_t>(rest.size(), 65536));
      if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
      if (n < 0) return c_.in.write.Reset();  // the program reads no more
      fed_ += static_cast<std::size_t>(n);
    }
  }

  // Reads at most 1 MiB, so that a flood on one pipe leaves time for the clocks.
  void Collect(Fd* fd, std::string* to, std::uint64_t most) {
    static char buffer[65536];
    for (int i = 0; i < 16 && fd->open(); ++i) {
      const ssize_t n = read(fd->get(), buffer, sizeof(buffer));
      if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
      if (n <= 0) return fd->Reset();
      const std::uint64_t room = most - std::min<std::uint64_t>(most, to->size());
      to->append(buffer, std::min<std::uint64_t>(static_cast<std::uint64_t>(n), room));
      if (static_cast<std::uint64_t>(n) > room) Kill(End::kOutputLimit);
    }
  }

  void Drain() {
    // A pipe holds no more than one Collect takes.
    Collect(&c_.out.read, &result_.out, run_.limits.output);
    Collect(&c_.err.read, &result_.err, run_.limits.output);
    Collect(&c_.result.read, &result_.result, run_.limits.result);
  }

  void ReadReports() {
    char buffer[sizeof(Report)];
    while (c_.status.read.open()) {
      const ssize_t n = read(c_.status.read.get(), buffer, sizeof(buffer));
      if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
      if (n != static_cast<ssize_t>(sizeof(buffer))) return c_.status.read.Reset();
      Report report;
      std::memcpy(&report, buffer, sizeof(report));
      if (report.kind == Report::kError && error_.empty()) {
        error_ = std::string(report.what) + ": " + std::strerror(report.value);
      } else if (report.kind == Report::kEnded) {
        ended_ = report.value;
      } else if (report.kind == Report::kKept) {
        result_.kept = report.value != 0;
      }
    }
  }

  std::string Verdict() {
    if (!error_.empty()) return error_;
    if (limit_) {
      result_.end = *limit_;
    } else if (!ended_) {
      return "the run's first process was lost";
    } else if (WIFSIGNALED(*ended_)) {
      result_.end = WTERMSIG(*ended_) == SIGXCPU ? End::kCpuLimit : End::kSignalled;
      result_.code = WTERMSIG(*ended_);
    } else {
      result_.end = End::kExited;
      result_.code = WEXITSTATUS(*ended_);
    }
    if (result_.err.size() > 2 * kErrorKept) {
      result_.err = result_.err.substr(0, kErrorKept) + "\n[...]\n" +
                    result_.err.substr(result_.err.size() - kErrorKept);
    }
    return {};
  }

  const Run& run_;
  const int control_;
  Channels& c_;
  const pid_t first_;
  RunResult& result_;
  const Clock::time_point start_ = Clock::now();
  std::optional<Clock::time_point> killed_at_;
  std::optional<End> limit_;
  std::optional<int> ended_;
  std::string error_;
  std::size_t fed_ = 0;
};

// Without a mount of its own a run leaves its files behind.
void Empty(const std::string& folder) {
  std::error_code ignored;
  std::vector<std::filesystem::path> entries;
  for (const auto& entry : std::filesystem::directory_iterator(folder, ignored))
    entries.push_back(entry.path());
  for (const auto& entry : entries)
    std::filesystem::remove_all(entry, ignored);
}

// The file just made, sealed: no later run can change it.
void TakeKept(Fd* made, Fd* kept) {
  fcntl(made->get(), F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE);
  kept->Reset(made->Release());
}

}  // namespace

std::string Supervise(const Setup& setup,
                      const Run& run,
                      int control,
                      Fd* kept,
                      RunResult* result) {
  Channels channels;
  if (!Open(&channels.in) || !Open(&channels.out) || !Open(&channels.err) ||
      !Open(&channels.status) || (run.result_channel && !Open(&channels.result)))
    return "no descriptors left for a run";
  Fd made;
  if (!run.keep.empty()) {
    made.Reset(memfd_create("program", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    if (!made.open()) return "no memory file for the program";
    fchmod(made.get(), 0500);
  }
  const pid_t first = StartInit(setup, run, &channels, kept->get(), made.get());
  if (first < 0) return std::string("starting a run: ") + std::strerror(errno);
  channels.in.read.Reset();
  channels.out.write.Reset();
  channels.err.write.Reset();
  channels.result.write.Reset();
  channels.status.write.Reset();
  Supervisor supervisor(run, control, &channels, first, result);
  if (!supervisor.Watch()) return "the run could not be killed";
  std::string failure = supervisor.Finish();
  if (!setup.contained) {
    if (!KillDescendants()) return "processes of the run are left";
    Empty(setup.folder);
  }
  if (failure.empty() && result->kept) TakeKept(&made, kept);
  return failure;
}

}  // namespace aha::keeper
