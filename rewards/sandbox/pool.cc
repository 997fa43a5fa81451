#include "rewards/sandbox/pool.h"

#include <unistd.h>

#include <algorithm>
#include <thread>
#include <utility>

#include "rewards/sandbox/filter.h"

namespace aha::rewards::sandbox {
namespace {

std::string Standing(const PoolOptions& options,
                     std::size_t slots,
                     const Layout& layout,
                     bool group) {
  const bool root = geteuid() == 0;
  const std::string languages = layout.python && layout.compiler ? "Python and C++"
                                : layout.python                  ? "Python only (no /usr/bin/g++)"
                                : layout.compiler                ? "C++ only (no /usr/bin/python3)"
                                                  : "no language (no python3, no g++)";
  const std::string user = root ? "a user id for each slot" : "the caller's user id";
  const std::string memory =
      group ? "cgroup v2 (memory.max, pids.max) for each slot, and memory summed over the run "
              "every 10 ms"
            : "memory summed over the run every 10 ms (no delegated cgroup v2)";
  if (options.unsafe) {
    return fmt::format(
        "UNSAFE: no namespaces, programs see this machine's files; in force: seccomp filter, "
        "rlimits, clocks, {}; {}; {} slots; {}",
        memory, user, slots, languages);
  }
  return fmt::format(
      "bubblewrap with user, mount, pid, network, ipc and uts namespaces (cgroup namespace where "
      "the kernel has it); read-only root, /tmp of bounded size; seccomp filter; rlimits; clocks; "
      "{}; {}; {} slots; {}",
      memory, user, slots, languages);
}

}  // namespace

Result<std::unique_ptr<Pool>> Pool::Start(const PoolOptions& options) {
  std::unique_ptr<Pool> pool(new Pool());
  pool->slot_options_.layout = DetectLayout();
  pool->slot_options_.unsafe = options.unsafe;
  AHA_ASSIGN(pool->slot_options_.filter, SeccompProgram());
  pool->most_ = options.slots != 0 ? options.slots
                                   : std::max<std::size_t>(1, std::thread::hardware_concurrency());
  pool->slot_options_.group_home = FindGroupHome();
  pool->slot_options_.group_limits = options.group_limits;
  auto slot = Slot::Start(pool->slot_options_);
  if (!slot && pool->slot_options_.group_home) {  // a group that looked usable and is not
    pool->slot_options_.group_home.reset();
    slot = Slot::Start(pool->slot_options_);
  }
  if (!slot) return tl::unexpected(std::move(slot).error());
  pool->standing_ =
      Standing(options, pool->most_, pool->layout(), pool->slot_options_.group_home.has_value());
  AHA_TRY(pool->TryOut(slot->get()));
  pool->idle_.push_back(*std::move(slot));
  return pool;
}

// A program that asks the kernel for what it must be refused.
Status Pool::TryOut(Slot* slot) const {
  if (!layout().python) return {};
  constexpr std::string_view kProbe =
      "import posix\n"
      "seen = 0\n"
      "try: posix.kill(1, 0); seen = posix.getpid()\n"
      "except OSError: seen = -1\n"
      "try: posix.mkdir('/probe'); print('the root is writable')\n"
      "except OSError: print('ready', seen)\n";
  Run run;
  run.argv = {kPythonPath, "-I", "-S", "-c", std::string(kProbe)};
  AHA_ASSIGN(const RunResult result, slot->Execute(run));
  const bool contained = slot_options_.unsafe || result.out == "ready 2\n";
  if (result.end == End::kExited && result.code == 0 && contained) return {};
  return Fail(Code::kInternal,
              "sandbox: a program of our own did not run in it as it should: code {}, said '{}' {}",
              result.code, result.out, result.err);
}

Result<Pool::Lease> Pool::Take(const Deadline& deadline) {
  {
    std::unique_lock lock(mutex_);
    if (!returned_.wait_until(lock, deadline.at(), [this] { return taken_ < most_; }))
      return Fail(Code::kTimeout, "all {} sandboxes stayed busy", most_);
    ++taken_;
    if (!idle_.empty()) {
      std::unique_ptr<Slot> slot = std::move(idle_.back());
      idle_.pop_back();
      return Lease(this, std::move(slot));
    }
  }
  auto slot = Slot::Start(slot_options_);
  if (!slot) {
    Return(nullptr);
    return tl::unexpected(std::move(slot).error());
  }
  return Lease(this, *std::move(slot));
}

void Pool::Return(std::unique_ptr<Slot> slot) {
  std::unique_ptr<Slot> broken;  // ended outside the lock
  {
    const std::lock_guard lock(mutex_);
    --taken_;
    (slot == nullptr || slot->broken() ? broken : idle_.emplace_back()) = std::move(slot);
  }
  returned_.notify_one();
}

std::string DescribeSandbox() {
  const auto pool = Pool::Start({.slots = 0, .unsafe = false});
  return pool ? (*pool)->standing() : "refused: " + pool.error().message;
}

}  // namespace aha::rewards::sandbox
