#include "rollout/kv_pages.h"

#include <algorithm>
#include <cstring>

#include "tests/rollout/engine_fixture.h"

namespace aha::rollout {
namespace {

TEST(KvPagesTest, ASharedPageIsFreeWhenItsLastOwnerLeaves) {
  KvPages pages(TinyLatent(), 3, 16);
  const std::int32_t page = pages.Take();
  pages.Share(page);
  EXPECT_EQ(pages.free(), 2U);
  pages.Release(page);
  EXPECT_EQ(pages.free(), 2U);
  pages.Release(page);
  EXPECT_EQ(pages.free(), 3U);
}

TEST(KvPagesTest, ACopyIsItsOwnersAloneInEveryLayer) {
  KvPages pages(TinyLatent(), 2, 16);
  policy::KvPool& pool = pages.pool();
  const std::int32_t from = pages.Take(), to = pages.Take();
  const auto fill = [&](std::int32_t page, int value) {
    for (std::size_t l = 0; l < pool.layers(); ++l) {
      std::memset(pool.layer(l) + static_cast<std::size_t>(page) * pool.page_stride(), value,
                  pool.page_stride());
    }
  };
  const auto holds = [&](std::int32_t page, int value) {
    bool all = true;
    for (std::size_t l = 0; l < pool.layers(); ++l) {
      const std::byte* at = pool.layer(l) + static_cast<std::size_t>(page) * pool.page_stride();
      all = all && std::all_of(at, at + pool.page_stride(),
                               [&](std::byte b) { return b == static_cast<std::byte>(value); });
    }
    return all;
  };
  ASSERT_GT(pool.layers(), 1U);
  fill(from, 7);
  pages.Copy(from, to);
  EXPECT_TRUE(holds(to, 7));
  fill(from, 8);
  EXPECT_TRUE(holds(to, 7));
  pages.Clear({to});
  EXPECT_TRUE(holds(to, 0));
  EXPECT_TRUE(holds(from, 8));
}

TEST(KvPagesTest, CountsPagesForTokens) {
  const KvPages pages(TinyLatent(), 1, 16);
  EXPECT_EQ(pages.PagesFor(0), 0U);
  EXPECT_EQ(pages.PagesFor(16), 1U);
  EXPECT_EQ(pages.PagesFor(17), 2U);
}

}  // namespace
}  // namespace aha::rollout
