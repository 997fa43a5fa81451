// Law 4 on a toy stage: killed at every single one of its actions in turn, the restarted run ends
// with the files of the run that nobody disturbed.
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include <gtest/gtest.h>

#include "base/content_hash.h"
#include "pipelines/run/delimited.h"
#include "pipelines/run/metrics_writer.h"
#include "pipelines/run/run_directory.h"
#include "pipelines/run/stage_state.h"
#include "tests/run/scratch_folder.h"

namespace aha::pipelines {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kSteps = 6;
constexpr std::uint64_t kCommitEvery = 2;
const std::vector<std::string> kFiles = {kMetricsFile, kEventFile, "groups.bin"};

// Kills its own process, as SIGKILL from outside would, at its `fatal`-th call.
class Killer {
 public:
  explicit Killer(int fatal) : left_(fatal) {}
  void Action() {
    if (left_-- == 0) ::raise(SIGKILL);
  }

 private:
  int left_;
};

// "Weights" are a hash chain, so a step done twice or left out shows.
Status RunStage(const fs::path& run_folder, Killer& killer) {
  AHA_ASSIGN(const RunDirectory run, RunDirectory::Open(run_folder));
  const fs::path stage = run.StageFolder("zero");
  StageState state(stage);
  AHA_ASSIGN(const auto commit, state.Latest());
  AHA_TRY(state.Restore(commit, kFiles));
  killer.Action();
  std::string weights = commit ? Read(state.FolderOf(*commit) / "weights") : "start";
  AHA_ASSIGN(MetricsWriter metrics, MetricsWriter::Open(stage));
  AHA_ASSIGN(AppendFile groups, AppendFile::Open(stage / "groups.bin"));
  for (std::uint64_t step = commit ? commit->step() + 1 : 1; step <= kSteps; ++step) {
    weights = HashText(weights + std::to_string(step));
    proto::GroupRecord group;
    group.set_step(step);
    group.set_question(weights);
    AHA_ASSIGN(const std::string record, Delimited(group));
    AHA_TRY(groups.Append(record.substr(0, record.size() / 2)));
    killer.Action();  // with half a record written
    AHA_TRY(groups.Append(record.substr(record.size() / 2)));
    AHA_TRY(metrics.Write(step, std::vector<Metric>{{"loss", 1.0 / static_cast<double>(step)}}));
    killer.Action();
    if (step % kCommitEvery != 0) continue;
    const auto fill = [&](const fs::path& aside) -> Status {
      AHA_TRY(WriteWholeFile(aside / "weights", weights));
      killer.Action();  // with the folder still aside
      return {};
    };
    AHA_TRY(state.Commit(step, fill, kFiles));
    killer.Action();
  }
  return {};
}

// Whether a process of its own runs the stage to its end; false: it was killed on the way.
bool RunInChild(const fs::path& run, int fatal) {
  const pid_t pid = ::fork();
  if (pid == 0) {
    Killer killer(fatal);
    ::_exit(RunStage(run, killer) ? 0 : 1);
  }
  int status = 0;
  ::waitpid(pid, &status, 0);
  EXPECT_TRUE(WIFSIGNALED(status) || (WIFEXITED(status) && WEXITSTATUS(status) == 0))
      << "it failed";
  return WIFEXITED(status);
}

TEST(Crash, AtAnyActionChangesNothingInTheEnd) {
  const ScratchFolder calm;
  ASSERT_TRUE(RunInChild(calm.path(), -1));
  int deaths = 0;
  for (int fatal = 0;; ++fatal) {
    const ScratchFolder hit;
    if (RunInChild(hit.path(), fatal)) break;  // it ended before that action came
    ++deaths;
    ASSERT_TRUE(RunInChild(hit.path(), -1));
    for (const char* file : {"zero/groups.bin", "zero/metrics.jsonl", "zero/state/commit",
                             "zero/state/step-6/weights"}) {
      ASSERT_NE(Read(calm.path() / file), "(none)") << file;
      ASSERT_EQ(Read(hit.path() / file), Read(calm.path() / file))
          << file << ", killed at action " << fatal;
    }
    EXPECT_EQ(fs::file_size(hit.path() / "zero" / kEventFile),
              fs::file_size(calm.path() / "zero" / kEventFile));
  }
  EXPECT_EQ(deaths, 1 + 6 * 2 + 3 * 2);
}

TEST(Crash, AgainAndAgainStillEnds) {
  const ScratchFolder calm, hit;
  ASSERT_TRUE(RunInChild(calm.path(), -1));
  int runs = 1;
  while (!RunInChild(hit.path(), 6))
    ASSERT_LT(++runs, 20);  // each gets one commit further
  EXPECT_GT(runs, 2);
  EXPECT_EQ(Read(hit.path() / "zero/groups.bin"), Read(calm.path() / "zero/groups.bin"));
}

}  // namespace
}  // namespace aha::pipelines
