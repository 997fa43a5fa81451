#include "rewards/sandbox/control_group.h"

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <fstream>
#include <sstream>
#include <string>
#include <system_error>
#include <thread>

#include <fmt/format.h>

namespace aha::rewards::sandbox {
namespace {

namespace fs = std::filesystem;

std::string ReadText(const fs::path& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

// Only into a file that is there: the kernel makes those of a group.
bool WriteText(const fs::path& path, std::string_view text) {
  const int fd = open(path.c_str(), O_WRONLY | O_CLOEXEC);
  if (fd < 0) return false;
  const bool written = write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  close(fd);
  return written;
}

bool Has(const fs::path& path, std::string_view word) {
  std::istringstream words(ReadText(path));
  for (std::string w; words >> w;) {
    if (w == word) return true;
  }
  return false;
}

bool HandsDown(const fs::path& group) {
  const fs::path control = group / "cgroup.subtree_control";
  for (const std::string controller : {"memory", "pids"}) {
    if (!Has(group / "cgroup.controllers", controller)) return false;
    if (!Has(control, controller)) WriteText(control, "+" + controller);
    if (!Has(control, controller)) return false;
  }
  return true;
}

fs::path NewName(const fs::path& home) {
  static std::atomic<unsigned> counter{0};
  return home / fmt::format("aha-slot-{}-{}", getpid(), counter++);
}

bool CanHold(const fs::path& group) {
  std::error_code error;
  const fs::path probe = NewName(group);
  if (!fs::create_directory(probe, error) || error) return false;
  fs::remove(probe, error);
  return true;
}

}  // namespace

std::optional<fs::path> FindGroupHome(const fs::path& mount, std::string_view self) {
  std::istringstream lines{std::string(self)};
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with("0::/")) continue;
    const fs::path own = mount / line.substr(4);
    for (const fs::path& group : {own, own.parent_path()}) {
      if (group.string().size() < mount.string().size()) break;
      if (HandsDown(group) && CanHold(group)) return group;
    }
  }
  return std::nullopt;
}

std::optional<fs::path> FindGroupHome() {
  std::ifstream mounts("/proc/self/mounts");
  for (std::string line; std::getline(mounts, line);) {
    std::istringstream words(line);
    std::string device, where, type;
    words >> device >> where >> type;
    if (type == "cgroup2") return FindGroupHome(where, ReadText("/proc/self/cgroup"));
  }
  return std::nullopt;
}

std::unique_ptr<ControlGroup> ControlGroup::Make(const fs::path& home, const GroupLimits& limits) {
  const fs::path path = NewName(home);
  std::error_code error;
  if (!fs::create_directory(path, error) || error) return nullptr;
  std::unique_ptr<ControlGroup> group(new ControlGroup(path));
  WriteText(path / "memory.swap.max", "0");  // where swap is accounted
  if (!WriteText(path / "memory.max", std::to_string(limits.memory)) ||
      !WriteText(path / "pids.max", std::to_string(limits.processes)))
    return nullptr;
  return group;
}

ControlGroup::~ControlGroup() {
  // A group is busy for a moment after its last process has gone.
  for (int i = 0; i < 50; ++i) {
    if (rmdir(path_.c_str()) == 0) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
}

int ControlGroup::OpenDoor() const {
  return open((path_ / "cgroup.procs").c_str(), O_WRONLY | O_CLOEXEC);
}

std::uint64_t ControlGroup::KilledForMemory() const {
  std::istringstream words(ReadText(path_ / "memory.events"));
  std::string name;
  for (std::uint64_t count = 0; words >> name >> count;) {
    if (name == "oom_kill") return count;
  }
  return 0;
}

}  // namespace aha::rewards::sandbox
