#pragma once
/// A control group (cgroup v2) for each slot, where this process may make one: a second bound on
/// memory and processes, kept by the kernel without a clock.

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string_view>

namespace aha::rewards::sandbox {

struct GroupLimits {
  std::uint64_t memory = 0;  ///< bytes, files in memory included
  std::uint64_t processes = 0;
};

/// The group below which slots may have theirs: `mount` is where cgroup v2 is mounted, `self` the
/// text of /proc/self/cgroup. This process's own group or the one above it, if it hands the
/// controllers memory and pids down (or can be told to) and folders can be made in it.
std::optional<std::filesystem::path> FindGroupHome(const std::filesystem::path& mount,
                                                   std::string_view self);
/// The same for this machine; nullopt where cgroup v2 is not delegated.
std::optional<std::filesystem::path> FindGroupHome();

class ControlGroup {
 public:
  /// Null when the kernel refuses.
  static std::unique_ptr<ControlGroup> Make(const std::filesystem::path& home,
                                            const GroupLimits& limits);
  /// Removes the group, which must have no process any more.
  ~ControlGroup();
  ControlGroup(const ControlGroup&) = delete;
  ControlGroup& operator=(const ControlGroup&) = delete;

  /// A descriptor that moves whoever writes "0" to it into the group; -1 when it cannot be opened.
  /// The caller closes it.
  [[nodiscard]] int OpenDoor() const;
  /// How often the kernel has killed for memory in here.
  [[nodiscard]] std::uint64_t KilledForMemory() const;

 private:
  explicit ControlGroup(std::filesystem::path path) : path_(std::move(path)) {}
  std::filesystem::path path_;
};

}  // namespace aha::rewards::sandbox
