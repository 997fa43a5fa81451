// Where slots may have control groups, on folders that look like cgroup v2. The kernel's own part,
// that limits hold, cannot be shown without a delegated group.

#include "rewards/sandbox/control_group.h"

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

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

}  // namespace
}  // namespace aha::rewards::sandbox
