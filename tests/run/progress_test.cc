#include "pipelines/run/progress.h"

#include <cstdlib>
#include <memory>

#include <gtest/gtest.h>

namespace aha::pipelines {
namespace {

using std::chrono::milliseconds;

// A progress that draws into memory, at times the test sets.
class ProgressTest : public testing::Test {
 protected:
  Progress::Surroundings Surroundings(bool terminal, int columns = 120) {
    return {stream_.get(), terminal, columns,
            [this] { return Progress::Clock::time_point(time_); }};
  }
  std::string Written() {
    std::fflush(stream_.get());
    return std::string(data_, size_);
  }

  milliseconds time_{0};

 private:
  char* data_ = nullptr;
  std::size_t size_ = 0;
  struct Release {
    char** data;
    ~Release() { std::free(*data); }
  } release_{&data_};
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> stream_{::open_memstream(&data_, &size_),
                                                          &std::fclose};
};

TEST_F(ProgressTest, OffATerminalAPlainLineEveryTenSeconds) {
  {
    Progress progress(40, "zero", 0, Surroundings(false));
    for (int i = 0; i < 40; ++i) {
      time_ += milliseconds(500);
      progress.Advance(1, "reward 0.5");
    }
  }
  EXPECT_EQ(Written(),
            "zero 1/40, 2.0/s, 0:20 left, reward 0.5\n"
            "zero 21/40, 2.0/s, 0:10 left, reward 0.5\n"
            "zero 40/40, 2.0/s, took 0:20, reward 0.5\n");
}

TEST_F(ProgressTest, OnATerminalOneLineIsRedrawnTenTimesASecondAtMost) {
  {
    Progress progress(4, "sft", 0, Surroundings(true));
    for (int i = 0; i < 4; ++i) {
      time_ += milliseconds(i == 1 ? 20 : 1000);  // the second comes too soon to be drawn
      progress.Advance(1);
    }
    progress.Finish();
    progress.Finish();
  }
  EXPECT_EQ(Written(),
            "\rsft [######..................] 1/4, 1.0/s, 0:03 left\x1b[K"
            "\rsft [##################......] 3/4, 1.5/s, 0:01 left\x1b[K"
            "\rsft [########################] 4/4, 1.3/s, took 0:03\x1b[K"
            "\rsft [########################] 4/4, 1.3/s, took 0:03\x1b[K\n");
}

TEST_F(ProgressTest, StepsOfAnEarlierProcessDoNotCountTowardsTheRate) {
  Progress progress(100, "rl", 60, Surroundings(false));
  time_ += milliseconds(20000);
  progress.Advance(10);
  EXPECT_EQ(Written(), "rl 70/100, 2.0 s each, 1:00 left\n");
}

TEST_F(ProgressTest, AnUnknownTotalShowsNoBar) {
  Progress progress(0, "sampling", 0, Surroundings(true));
  time_ += milliseconds(1000);
  progress.Advance(5);
  EXPECT_EQ(Written(), "\rsampling 5, 5.0/s\x1b[K");
}

TEST_F(ProgressTest, ALineNeverOutgrowsTheTerminalNorSplitsACharacter) {
  Progress progress(0, "p", 0, Surroundings(true, 7));
  progress.Advance(
      5, "\xe4\xb8\xad\xe6\x96\x87");  // columns 6 and up: "p 5, " leaves one byte of three
  EXPECT_EQ(Written(), "\rp 5, \x1b[K");
}

}  // namespace
}  // namespace aha::pipelines
