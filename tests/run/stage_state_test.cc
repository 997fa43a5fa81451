#include "pipelines/run/stage_state.h"

#include <algorithm>
#include <stdexcept>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/run/scratch_folder.h"

namespace aha::pipelines {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;

const std::vector<std::string> kFiles = {"metrics.jsonl", "groups.bin", "tensorboard/events"};

class StageStateTest : public testing::Test {
 protected:
  Status CommitStep(std::uint64_t step) {
    return state_.Commit(
        step,
        [&](const fs::path& aside) {
          return WriteWholeFile(aside / "weights", std::to_string(step));
        },
        kFiles);
  }
  Status Restore() {
    const auto latest = state_.Latest();
    return latest ? state_.Restore(*latest, kFiles) : Status(tl::unexpected<Error>(latest.error()));
  }
  [[nodiscard]] std::vector<std::string> StateNames() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(stage_ / "state"))
      names.push_back(entry.path().filename());
    std::sort(names.begin(), names.end());
    return names;
  }

  ScratchFolder scratch_;
  fs::path stage_ = scratch_.path() / "zero";
  StageState state_{stage_};
};

TEST_F(StageStateTest, RestoreCutsBackToTheCommit) {
  Write(stage_ / "metrics.jsonl", "1\n2\n");
  Write(stage_ / "tensorboard/events", "ee");
  ASSERT_TRUE(CommitStep(2));
  Write(stage_ / "metrics.jsonl", "1\n2\n3\n4");
  Write(stage_ / "tensorboard/events", "eeff");
  Write(stage_ / "groups.bin", "new since");
  ASSERT_TRUE(Restore());
  EXPECT_EQ(Read(stage_ / "metrics.jsonl"), "1\n2\n");
  EXPECT_EQ(Read(stage_ / "tensorboard/events"), "ee");
  EXPECT_EQ(Read(stage_ / "groups.bin"), "");  // it did not exist then: 0 bytes
  const auto commit = state_.Latest().value();
  ASSERT_TRUE(commit);
  EXPECT_EQ(commit->step(), 2U);
  EXPECT_EQ(Read(state_.FolderOf(*commit) / "weights"), "2");
}

TEST_F(StageStateTest, WithoutACommitTheStageStartsOver) {
  EXPECT_FALSE(state_.Latest().value().has_value());
  ASSERT_TRUE(Restore());  // not even a folder
  Write(stage_ / "metrics.jsonl", "1\n");
  Write(stage_ / "state/step-5/weights", "5");
  Write(stage_ / "state/step-6.aside.99/weights", "6");
  Write(stage_ / "checkpoint.aside.99/config.json", "{}");
  ASSERT_TRUE(Restore());
  EXPECT_FALSE(fs::exists(stage_ / "metrics.jsonl"));
  EXPECT_FALSE(fs::exists(stage_ / "checkpoint.aside.99"));
  EXPECT_THAT(StateNames(), ElementsAre());
}

TEST_F(StageStateTest, KeepsTheLastTwoFolders) {
  for (const std::uint64_t step : {2, 4, 6, 8})
    ASSERT_TRUE(CommitStep(step));
  EXPECT_THAT(StateNames(), ElementsAre("commit", "step-6", "step-8"));
}

TEST_F(StageStateTest, ASecondCommitOfAStepTakesAnotherFolder) {
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(CommitStep(4));
    const auto commit = state_.Latest().value();
    EXPECT_EQ(commit->folder(), i == 1 ? "step-4.1" : "step-4");
    EXPECT_EQ(Read(state_.FolderOf(*commit) / "weights"), "4");
  }
  ASSERT_TRUE(Restore());
  EXPECT_EQ(state_.Latest().value()->step(), 4U);
}

TEST_F(StageStateTest, CommitsNeverGoBackwards) {
  ASSERT_TRUE(CommitStep(4));
  const Status back = CommitStep(3);
  ASSERT_FALSE(back);
  EXPECT_THAT(back.error().message, EndsWith("step 3 cannot be committed after step 4"));
}

// Cut between the folder's renaming and the pointer's: the old commit is in force.
TEST_F(StageStateTest, AFolderThatWasNotPointedToIsDropped) {
  ASSERT_TRUE(CommitStep(2));
  ASSERT_TRUE(CommitStep(4));
  Write(stage_ / "state/step-6/weights", "6");
  Write(stage_ / "state/commit.aside.99", "step: 6 folder: \"step-6\"");
  ASSERT_TRUE(Restore());
  EXPECT_EQ(state_.Latest().value()->step(), 4U);
  EXPECT_THAT(StateNames(), ElementsAre("commit", "step-2", "step-4"));
  ASSERT_TRUE(CommitStep(6));
}

TEST_F(StageStateTest, AFillThatFailsLeavesTheOldCommit) {
  ASSERT_TRUE(CommitStep(2));
  const auto fails = [](const fs::path&) -> Status { return Fail(Code::kExhausted, "disk full"); };
  const auto throws = [](const fs::path&) -> Status { throw std::runtime_error("no memory"); };
  EXPECT_EQ(state_.Commit(4, fails, kFiles).error().message, "disk full");
  EXPECT_THAT(state_.Commit(4, throws, kFiles).error().message, EndsWith("step-4: no memory"));
  EXPECT_EQ(state_.Latest().value()->step(), 2U);
  EXPECT_THAT(StateNames(), ElementsAre("commit", "step-2"));
}

TEST_F(StageStateTest, AFileThatLostBytesIsCorruptAndNothingIsTouched) {
  Write(stage_ / "metrics.jsonl", "1\n2\n");
  Write(stage_ / "groups.bin", "gggg");
  ASSERT_TRUE(CommitStep(2));
  Write(stage_ / "metrics.jsonl", "1\n2\n3\n");
  Write(stage_ / "groups.bin", "ggg");
  const Status restored = Restore();
  ASSERT_FALSE(restored);
  EXPECT_EQ(restored.error().code, Code::kCorrupt);
  EXPECT_THAT(restored.error().message,
              EndsWith("groups.bin: has 3 bytes, but had 4 when step 2 was committed; restore it "
                       "from a copy, or "
                       "delete the stage's folder to run the stage again"));
  EXPECT_EQ(Read(stage_ / "metrics.jsonl"), "1\n2\n3\n");
}

TEST_F(StageStateTest, ADamagedPointerIsCorrupt) {
  for (const auto& [bytes, want] : std::vector<std::pair<std::string, std::string>>{
           {"step: 4 fol", "state/commit:1:"},
           {"step: 4", "lacks its step or folder"},
           {"", "lacks its step or folder"},
           {"step: 4 folder: \"step-/../../..\"", "a path that leaves the stage"},
           {"step: 4 folder: \"step-4\" file { path: \"../../x\" bytes: 0 }",
            "a path that leaves the stage"},
           {"step: 4 folder: \"step-4\" file { path: \"/etc/x\" bytes: 0 }",
            "a path that leaves the stage"},
           {"step: 4 folder: \"step-4\"", "step 4 is committed, but its folder is gone"}}) {
    Write(stage_ / "state/commit", bytes);
    const auto latest = state_.Latest();
    ASSERT_FALSE(latest) << bytes;
    EXPECT_EQ(latest.error().code, Code::kCorrupt);
    EXPECT_THAT(latest.error().message, HasSubstr(want));
  }
}

}  // namespace
}  // namespace aha::pipelines
