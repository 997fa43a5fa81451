#include "rewards/sandbox/keeper/meter.h"

#include <dirent.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>

#include "rewards/sandbox/keeper/posix.h"

namespace aha::keeper {
namespace {

struct Process {
  pid_t parent = 0;
  std::uint64_t ticks = 0;
};

// Fields 4 and 14 to 17 of /proc/PID/stat, behind the name, which may hold anything.
bool ReadStat(pid_t pid, Process* process) {
  char path[48];
  std::snprintf(path, sizeof(path), "/proc/%d/stat", pid);
  const std::string text = ReadSmall(path, 1024);
  const auto name_end = text.rfind(')');
  if (name_end == std::string::npos) return false;
  unsigned long user = 0, system = 0;
  long child_user = 0, child_system = 0;
  const int found = std::sscanf(text.c_str() + name_end + 1,
                                " %*c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu %ld %ld",
                                &process->parent, &user, &system, &child_user, &child_system);
  process->ticks = user + system + static_cast<unsigned long>(child_user + child_system);
  return found == 5;
}

std::uint64_t FieldKib(const std::string& text, const char* name) {
  const auto at = text.find(name);
  return at == std::string::npos
             ? 0
             : std::strtoull(text.c_str() + at + std::strlen(name), nullptr, 10);
}

std::uint64_t Memory(pid_t pid) {
  char path[48];
  std::snprintf(path, sizeof(path), "/proc/%d/status", pid);
  const std::string text = ReadSmall(path, 4096);
  return (FieldKib(text, "RssAnon:") + FieldKib(text, "RssShmem:") + FieldKib(text, "VmSwap:"))
         << 10;
}

bool Descends(pid_t pid, const std::map<pid_t, Process>& all) {
  const pid_t self = getpid();
  for (int steps = 0; steps < 4096; ++steps) {
    const auto found = all.find(pid);
    if (found == all.end()) return false;
    pid = found->second.parent;
    if (pid == self) return true;
  }
  return false;
}

}  // namespace

Usage Measure() {
  static const auto kTicks = static_cast<std::uint64_t>(sysconf(_SC_CLK_TCK));
  std::map<pid_t, Process> all;
  DIR* folder = opendir("/proc");
  if (folder == nullptr) return {};
  while (const dirent* entry = readdir(folder)) {
    const pid_t pid = std::atoi(entry->d_name);
    Process process;
    if (pid > 0 && ReadStat(pid, &process)) all.emplace(pid, process);
  }
  closedir(folder);
  Usage usage;
  for (const auto& [pid, process] : all) {
    if (!Descends(pid, all)) continue;
    usage.cpu_ms += process.ticks * 1000 / kTicks;
    usage.memory += Memory(pid);
  }
  return usage;
}

}  // namespace aha::keeper
