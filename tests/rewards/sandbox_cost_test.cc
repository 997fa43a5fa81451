// What the sandbox costs: a trivial program in it and outside, by turns, so that both meet the same
// machine. Prints figures; fails only when they are far from what they should be.

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "rewards/sandbox/pool.h"
#include "tests/rewards/code_fixture.h"

namespace aha::rewards {
namespace {

using Clock = std::chrono::steady_clock;
constexpr int kRounds = 150;

double Ms(Clock::time_point from) {
  return std::chrono::duration<double, std::milli>(Clock::now() - from).count();
}

double Bare() {
  const char* argv[] = {sandbox::kPythonPath, "-I", "-S", "-c", "pass", nullptr};
  char* env[] = {nullptr};
  const auto start = Clock::now();
  pid_t pid = 0;
  if (posix_spawn(&pid, argv[0], nullptr, nullptr, const_cast<char**>(argv), env) != 0) return 0;
  waitpid(pid, nullptr, 0);
  return Ms(start);
}

struct Spread {
  double fastest, median;
};
Spread Of(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return {values.front(), values[values.size() / 2]};
}

TEST(SandboxCost, OfATrivialPythonProgram) {
  const auto pool = sandbox::Pool::Start({.slots = 1, .unsafe = false});
  if (!pool) {
    ASSERT_FALSE(MachineGivesSandboxes()) << pool.error().message;
    GTEST_SKIP() << pool.error().message;
  }
  auto slot = (*pool)->Take(Deadline::After(std::chrono::seconds(5)));
  ASSERT_TRUE(slot.has_value());
  const auto reward = MakeCode("slots: 1");
  sandbox::Run run;
  run.argv = {sandbox::kPythonPath, "-I", "-S", "-c", "pass"};
  const std::string reference = OneTest("python", "1", "1");
  std::vector<double> bare, inside, judged;
  for (int i = 0; i < kRounds; ++i) {
    bare.push_back(Bare());
    auto start = Clock::now();
    ASSERT_TRUE((*slot).get()->Execute(run).has_value());
    inside.push_back(Ms(start));
    start = Clock::now();
    ASSERT_EQ(VerdictOf(Ask(*reward, "print(input())", reference)), "AC");
    judged.push_back(Ms(start));
  }
  const Spread b = Of(bare), s = Of(inside), j = Of(judged);
  std::printf("                        fastest   median\n");
  std::printf("python3 -I -S, bare     %7.2f  %7.2f ms\n", b.fastest, b.median);
  std::printf("the same, sandboxed     %7.2f  %7.2f ms  (%.2f x, %.2f x)\n", s.fastest, s.median,
              s.fastest / b.fastest, s.median / b.median);
  std::printf("an item judged          %7.2f  %7.2f ms  (%.2f x, %.2f x)\n", j.fastest, j.median,
              j.fastest / b.fastest, j.median / b.median);
  EXPECT_LT(s.fastest / b.fastest, 2);
}

TEST(SandboxCost, OfManyItemsInTwoSandboxes) {
  const auto reward = MakeCode("slots: 2");
  if (reward == nullptr) GTEST_SKIP();
  const std::string reference = OneTest("python", "1", "1");
  constexpr int kItems = 200;
  std::atomic<int> next{0}, right{0};
  const auto start = Clock::now();
  std::vector<std::thread> threads;
  for (int t = 0; t < 2; ++t) {
    threads.emplace_back([&] {
      while (next++ < kItems)
        right += VerdictOf(Ask(*reward, "print(input())", reference)) == "AC" ? 1 : 0;
    });
  }
  for (auto& thread : threads)
    thread.join();
  std::printf("two sandboxes           %7.0f items a second\n", kItems / Ms(start) * 1000);
  EXPECT_EQ(right, kItems);
}

TEST(SandboxCost, OfACppProgram) {
  const auto reward = MakeCode("slots: 1");
  if (reward == nullptr) GTEST_SKIP();
  nlohmann::json reference = {{"language", "cpp"}};
  const auto add = [&](int count) {
    for (int i = 0; i < count; ++i)
      reference["tests"].push_back({{"stdin", "1 2"}, {"stdout", "3"}});
  };
  const std::string program =
      "#include <iostream>\nint main(){int a,b;std::cin>>a>>b;std::cout<<a+b;}\n";
  const auto fastest = [&] {
    double best = 1e9;
    for (int i = 0; i < 3; ++i) {
      const auto start = Clock::now();
      EXPECT_EQ(VerdictOf(Ask(*reward, program, reference.dump())), "AC");
      best = std::min(best, Ms(start));
    }
    return best;
  };
  add(1);
  const double one = fastest();
  add(100);
  std::printf("C++: compiled and 1 test %6.0f ms; each further test %.1f ms\n", one,
              (fastest() - one) / 100);
}

}  // namespace
}  // namespace aha::rewards
