#include "policy/kernels/cpu/target.h"

#include <atomic>
#include <cstdlib>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "policy/kernels/cpu/thread_pool.h"

namespace aha::policy::cpu {
namespace {

TEST(KernelTarget, FastestUnlessNamed) {
  const auto& supported = SupportedKernelTargets();
  ASSERT_FALSE(supported.empty());
  for (const KernelTarget target : supported)
    EXPECT_EQ(ChooseKernelTarget(KernelTargetName(target)).value(), target);
  EXPECT_NE(ChooseKernelTarget("").value(), KernelTarget::kAmxModel);
}

TEST(KernelTarget, UnknownNameIsRefusedWithTheKnownOnes) {
  const auto chosen = ChooseKernelTarget("avx1024");
  ASSERT_FALSE(chosen);
  EXPECT_EQ(chosen.error().code, Code::kInvalidArgument);
  EXPECT_NE(chosen.error().message.find("avx1024"), std::string::npos);
  EXPECT_NE(chosen.error().message.find("portable"), std::string::npos);
}

TEST(KernelTarget, EnvironmentChooses) {
  const char* before = std::getenv("AHA_KERNELS");
  const std::string saved = before == nullptr ? "" : before;
  setenv("AHA_KERNELS", "portable", 1);
  EXPECT_EQ(ChooseKernelTarget().value(), KernelTarget::kPortable);
  setenv("AHA_KERNELS", "none", 1);
  EXPECT_FALSE(ChooseKernelTarget());
  unsetenv("AHA_KERNELS");
  EXPECT_EQ(ChooseKernelTarget().value(), ChooseKernelTarget("").value());
  if (before != nullptr) setenv("AHA_KERNELS", saved.c_str(), 1);
}

TEST(ThreadPool, EveryIndexOnceInFixedShares) {
  for (const int threads : {1, 2, 5}) {
    const ThreadPool pool(threads);
    for (const std::size_t count : {0UL, 1UL, 3UL, 100UL}) {
      for (int round = 0; round < 50; ++round) {
        std::vector<std::atomic<int>> hits(count);
        pool.ParallelFor(count, 1, [&](std::size_t begin, std::size_t end) {
          for (std::size_t i = begin; i < end; ++i)
            ++hits[i];
        });
        for (const auto& hit : hits)
          ASSERT_EQ(hit, 1);
      }
    }
  }
}

TEST(ThreadPool, ACallFromInsideRunsAtOnce) {
  const ThreadPool pool(3);
  std::atomic<std::size_t> sum{0};
  pool.ParallelFor(3, 1, [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) {
      pool.ParallelFor(10, 1, [&](std::size_t b, std::size_t e) { sum += e - b; });
    }
  });
  EXPECT_EQ(sum, 30);
}

TEST(ThreadPool, ShareBelowTheGrainIsNotCut) {
  const ThreadPool pool(4);
  std::atomic<int> shares{0};
  pool.ParallelFor(10, 5, [&](std::size_t, std::size_t) { ++shares; });
  EXPECT_EQ(shares, 2);
}

}  // namespace
}  // namespace aha::policy::cpu
