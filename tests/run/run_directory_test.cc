#include "pipelines/run/run_directory.h"

#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/run/scratch_folder.h"

namespace aha::pipelines {
namespace {

using testing::HasSubstr;
using testing::MatchesRegex;

// A process that holds a run directory until it is killed.
class Owner {
 public:
  explicit Owner(const std::filesystem::path& run) {
    std::array<int, 2> ready{};
    if (::pipe(ready.data()) != 0) std::abort();
    pid_ = ::fork();
    if (pid_ == 0) {
      const auto directory = RunDirectory::Open(run);
      const char answer = directory ? 'y' : 'n';
      if (::write(ready[1], &answer, 1) != 1) ::_exit(1);
      ::alarm(20);  // should the test die first
      ::pause();
      ::_exit(0);
    }
    char answer = 'n';
    holds_ = ::read(ready[0], &answer, 1) == 1 && answer == 'y';
    ::close(ready[0]);
    ::close(ready[1]);
  }
  ~Owner() { Kill(); }
  Owner(const Owner&) = delete;
  Owner& operator=(const Owner&) = delete;

  void Kill() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }
  [[nodiscard]] bool holds() const { return holds_; }
  [[nodiscard]] pid_t pid() const { return pid_; }

 private:
  pid_t pid_ = -1;
  bool holds_ = false;
};

TEST(RunDirectory, IsOneProcessesAtATimeAndFreeWhenThatDies) {
  const ScratchFolder scratch;
  const auto run = scratch.path() / "deep" / "run";
  Owner owner(run);
  ASSERT_TRUE(owner.holds());
  const auto refused = RunDirectory::Open(run);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kBusy);
  EXPECT_THAT(refused.error().message,
              HasSubstr(fmt::format("deep/run is in use by pid {} on host ", owner.pid())));
  EXPECT_THAT(refused.error().message,
              MatchesRegex(".* since 20..-..-.. ..:..:.. UTC; wait for it, stop it, or "
                           "choose another with --out"));
  owner.Kill();
  EXPECT_TRUE(RunDirectory::Open(run));
}

TEST(RunDirectory, IsFreeAgainWhenItsObjectGoes) {
  const ScratchFolder scratch;
  {
    auto first = RunDirectory::Open(scratch.path());
    ASSERT_TRUE(first);
    const RunDirectory moved = std::move(*first);
    EXPECT_FALSE(RunDirectory::Open(scratch.path()));
  }
  EXPECT_TRUE(RunDirectory::Open(scratch.path()));
}

TEST(RunDirectory, SaysWhyItCannotBeMade) {
  const ScratchFolder scratch;
  Write(scratch.path() / "file", "");
  const auto is_file = RunDirectory::Open(scratch.path() / "file");
  ASSERT_FALSE(is_file);
  EXPECT_THAT(is_file.error().message, HasSubstr("file: cannot be made a run directory: "));
  EXPECT_THAT(is_file.error().message, HasSubstr("choose another with --out"));
  EXPECT_FALSE(RunDirectory::Open(scratch.path() / "file" / "below"));
  const auto unwritable = RunDirectory::Open("/proc");
  ASSERT_FALSE(unwritable);
  EXPECT_THAT(unwritable.error().message, HasSubstr("/proc/lock: cannot open"));
}

TEST(RunDirectory, TellsANewRecipeFromTheSameAndAChangedOne) {
  const ScratchFolder scratch;
  const auto run = RunDirectory::Open(scratch.path());
  ASSERT_TRUE(run);
  EXPECT_EQ(run->StoredRecipe().value(), std::nullopt);
  EXPECT_EQ(run->StoreRecipe("name: \"a\"\n").value(), RunDirectory::Stored::kNew);
  EXPECT_EQ(run->StoreRecipe("name: \"a\"\n").value(), RunDirectory::Stored::kSame);
  EXPECT_EQ(run->StoreRecipe("name: \"b\"\n").value(), RunDirectory::Stored::kChanged);
  EXPECT_EQ(run->StoredRecipe().value(), "name: \"b\"\n");
}

TEST(RunDirectory, RemovesWhatAKilledProcessWroteAside) {
  const ScratchFolder scratch;
  Write(scratch.path() / "stages.textproto.aside.123", "half");
  Write(scratch.path() / "notes", "mine");
  const auto stage = scratch.path() / "kept";
  std::filesystem::create_directories(stage / "data.aside.123.old");
  Write(stage / "data.aside.123.old" / "examples.jsonl", "half");
  Write(stage / "groups.bin", "whole");
  const auto run = RunDirectory::Open(scratch.path());
  ASSERT_TRUE(run);
  EXPECT_FALSE(std::filesystem::exists(stage / "data.aside.123.old"));
  EXPECT_EQ(Read(stage / "groups.bin"), "whole");
  EXPECT_EQ(Read(scratch.path() / "stages.textproto.aside.123"), "(none)");
  EXPECT_EQ(Read(scratch.path() / "notes"), "mine");
  proto::StageGraph graph;
  StageOf(graph, "zero");
  ASSERT_TRUE(run->WriteStages(graph));
  EXPECT_EQ(run->ReadStages().value().stage(0).name(), "zero");
}

}  // namespace
}  // namespace aha::pipelines
