// Where slots may have control groups, on folders that look like cgroup v2; and, where the machine
// hands one down, that its limits hold.

#include "rewards/sandbox/control_group.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace aha::rewards::sandbox {
namespace {

namespace fs = std::filesystem;

class FakeGroups : public testing::Test {
 protected:
  FakeGroups() : root_(fs::temp_directory_path() / ("aha-groups-" + std::to_string(getpid()))) {
    fs::create_directories(root_ / "slice/own");
  }
  ~FakeGroups() override { fs::remove_all(root_); }
  void Give(const std::string& group, const std::string& controllers, const std::string& down) {
    std::ofstream(root_ / group / "cgroup.controllers") << controllers;
    std::ofstream(root_ / group / "cgroup.subtree_control") << down;
  }
  const fs::path root_;
};

TEST_F(FakeGroups, OwnGroupThatHandsDownIsTaken) {
  Give("slice/own", "cpu memory pids\n", "memory pids\n");
  EXPECT_EQ(FindGroupHome(root_, "0::/slice/own\n"), root_ / "slice/own");
}

TEST_F(FakeGroups, TheOneAboveIsTakenWhenOursHasProcesses) {
  Give("slice/own", "cpu memory pids\n", "");
  fs::permissions(root_ / "slice/own/cgroup.subtree_control", fs::perms::none);
  Give("slice", "cpu memory pids\n", "cpu memory pids\n");
  // The kernel refuses the write with EBUSY; a folder stands in for that here.
  fs::remove(root_ / "slice/own/cgroup.subtree_control");
  fs::create_directory(root_ / "slice/own/cgroup.subtree_control");
  EXPECT_EQ(FindGroupHome(root_, "4:memory:/x\n0::/slice/own\n"), root_ / "slice");
}

TEST_F(FakeGroups, WithoutControllersThereIsNone) {
  Give("slice/own", "cpu\n", "cpu\n");
  Give("slice", "", "");
  EXPECT_EQ(FindGroupHome(root_, "0::/slice/own\n"), std::nullopt);
  EXPECT_EQ(FindGroupHome(root_, "4:memory:/x\n"), std::nullopt);
  EXPECT_EQ(FindGroupHome(root_, "0::/\n"), std::nullopt);
}

TEST_F(FakeGroups, AGroupWithoutTheKernelsFilesIsNotMade) {
  EXPECT_EQ(ControlGroup::Make(root_ / "slice", {1 << 20, 10}), nullptr);
  EXPECT_EQ(std::distance(fs::directory_iterator(root_ / "slice"), {}), 1) << "only own";
}

// The kernel's own groups.
class RealGroups : public testing::Test {
 protected:
  void SetUp() override {
    home_ = FindGroupHome();
    if (!home_) GTEST_SKIP() << "no cgroup v2 with memory and pids is handed down here";
  }

  // What becomes of a process that enters `group` and does `act` there.
  template <class Act>
  static int InGroup(const ControlGroup& group, Act act) {
    const int door = group.OpenDoor();
    EXPECT_GE(door, 0);
    const pid_t pid = fork();
    if (pid == 0) {
      if (write(door, "0", 1) != 1) _exit(99);
      _exit(act());
    }
    close(door);
    int status = 0;
    waitpid(pid, &status, 0);
    return status;
  }

  std::optional<fs::path> home_;
};

int Touch(std::size_t bytes) {
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return 1;
  for (std::size_t at = 0; at < bytes; at += 4096)
    static_cast<volatile char*>(memory)[at] = 1;
  return 0;
}

TEST_F(RealGroups, MemoryBeyondTheLimitIsKilled) {
  const auto group = ControlGroup::Make(*home_, {32U << 20, 16});
  ASSERT_NE(group, nullptr);
  const int within = InGroup(*group, [] { return Touch(16U << 20); });
  EXPECT_TRUE(WIFEXITED(within) && WEXITSTATUS(within) == 0) << within;
  EXPECT_EQ(group->KilledForMemory(), 0U);
  const int beyond = InGroup(*group, [] { return Touch(64U << 20); });
  EXPECT_TRUE(WIFSIGNALED(beyond) && WTERMSIG(beyond) == SIGKILL) << beyond;
  EXPECT_EQ(group->KilledForMemory(), 1U);
}

TEST_F(RealGroups, ProcessesBeyondTheLimitAreRefused) {
  const auto group = ControlGroup::Make(*home_, {64U << 20, 4});
  ASSERT_NE(group, nullptr);
  const int status = InGroup(*group, [] {
    std::vector<pid_t> made;
    for (int i = 0; i < 10; ++i) {
      const pid_t pid = fork();
      if (pid == 0) {
        pause();
        _exit(0);
      }
      if (pid < 0) break;
      made.push_back(pid);
    }
    for (const pid_t pid : made) {
      kill(pid, SIGKILL);
      waitpid(pid, nullptr, 0);
    }
    return static_cast<int>(made.size());
  });
  EXPECT_TRUE(WIFEXITED(status)) << status;
  EXPECT_EQ(WEXITSTATUS(status), 3) << "itself and three more";
}

TEST_F(RealGroups, AGroupThatGoesLeavesNothing) {
  const auto count = [this] {
    return std::distance(fs::directory_iterator(*home_), fs::directory_iterator());
  };
  const auto before = count();
  {
    const auto group = ControlGroup::Make(*home_, {32U << 20, 16});
    ASSERT_NE(group, nullptr);
    EXPECT_EQ(count(), before + 1);
  }
  EXPECT_EQ(count(), before);
}

}  // namespace
}  // namespace aha::rewards::sandbox
