#include "base/parallel.h"

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <set>
#include <stdexcept>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "base/deadline.h"

namespace aha {
namespace {

class ParallelTest : public testing::TestWithParam<int> {};

TEST_P(ParallelTest, RunsEveryJobOnce) {
  std::vector<std::atomic<int>> runs(100);
  const Status done =
      RunParallel(GetParam(), runs.size(), [&](std::size_t job, int worker) -> Status {
        EXPECT_GE(worker, 0);
        EXPECT_LT(worker, std::max(1, GetParam()));
        ++runs[job];
        return {};
      });
  EXPECT_TRUE(done);
  for (const std::atomic<int>& count : runs)
    EXPECT_EQ(count, 1);
}

TEST_P(ParallelTest, AnExceptionBecomesAnError) {
  const Status done = RunParallel(GetParam(), 3, [](std::size_t job, int) -> Status {
    if (job == 1) throw std::runtime_error("thrown");
    return {};
  });
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, Code::kInternal);
  EXPECT_NE(done.error().message.find("thrown"), std::string::npos);
}

INSTANTIATE_TEST_SUITE_P(Threads, ParallelTest, testing::Values(0, 1, 2, 7));

TEST(ParallelTest, OneThreadKeepsTheOrderAndIsTheCallers) {
  std::vector<std::size_t> order;
  const auto caller = std::this_thread::get_id();
  ASSERT_TRUE(RunParallel(1, 5, [&](std::size_t job, int worker) -> Status {
    EXPECT_EQ(worker, 0);
    EXPECT_EQ(std::this_thread::get_id(), caller);
    order.push_back(job);
    return {};
  }));
  EXPECT_EQ(order, (std::vector<std::size_t>{0, 1, 2, 3, 4}));
}

TEST(ParallelTest, NoJobsIsNoWork) {
  EXPECT_TRUE(
      RunParallel(4, 0, [](std::size_t, int) -> Status { return Fail(Code::kInternal, "run"); }));
}

TEST(ParallelTest, AfterAnErrorNoJobIsStarted) {
  std::vector<std::size_t> started;
  const Status done = RunParallel(1, 10, [&](std::size_t job, int) -> Status {
    started.push_back(job);
    if (job == 2) return Fail(Code::kBusy, "job {}", job);
    return {};
  });
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().message, "job 2");
  EXPECT_EQ(started, (std::vector<std::size_t>{0, 1, 2}));
}

// Lets threads wait until so many of them are here.
class Meeting {
 public:
  explicit Meeting(int wanted) : wanted_(wanted) {}
  bool Wait() {
    std::unique_lock lock(mutex_);
    if (++here_ == wanted_) all_.notify_all();
    return all_.wait_until(lock, Deadline::After(std::chrono::seconds(20)).at(),
                           [&] { return here_ >= wanted_; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable all_;
  int wanted_;
  int here_ = 0;
};

TEST(ParallelTest, TheLowestJobsErrorWinsWhicheverComesFirst) {
  for (const std::size_t first : {0U, 1U}) {
    Meeting both(2);  // both jobs run when the first of them fails
    std::atomic<bool> failed{false};
    const Status done = RunParallel(2, 2, [&](std::size_t job, int) -> Status {
      EXPECT_TRUE(both.Wait());
      while (job != first && !failed)
        std::this_thread::yield();
      failed = true;
      return Fail(Code::kBusy, "job {}", job);
    });
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().message, "job 0");
  }
}

TEST(ParallelTest, WorkersOfOneMomentDiffer) {
  Meeting all(3);
  std::mutex mutex;
  std::set<int> workers;
  ASSERT_TRUE(RunParallel(3, 3, [&](std::size_t, int worker) -> Status {
    EXPECT_TRUE(all.Wait());
    const std::lock_guard lock(mutex);
    workers.insert(worker);
    return {};
  }));
  EXPECT_EQ(workers, (std::set<int>{0, 1, 2}));
}

}  // namespace
}  // namespace aha
