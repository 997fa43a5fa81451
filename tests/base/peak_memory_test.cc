#include "base/peak_memory.h"

#include <vector>

#include <gtest/gtest.h>

namespace aha {
namespace {

TEST(PeakMemoryTest, CountsWhatWasHeldAndDoesNotForget) {
  constexpr std::size_t kBytes = std::size_t{64} << 20U;
  const std::uint64_t before = PeakMemoryBytes();
  ASSERT_GT(before, 0U);
  {
    const std::vector<char> held(before + kBytes, 1);
    EXPECT_GE(PeakMemoryBytes(), held.size());
  }
  EXPECT_GE(PeakMemoryBytes(), before + kBytes);
  EXPECT_LT(PeakMemoryBytes(), 4 * (before + kBytes));
}

}  // namespace
}  // namespace aha
