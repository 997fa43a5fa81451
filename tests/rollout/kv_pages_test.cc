#include "rollout/kv_pages.h"

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

TEST(KvPagesTest, ACopyIsItsOwnersAlone) {
  KvPages pages(TinyLatent(), 2, 16);
  const std::int32_t from = pages.Take(), to = pages.Take();
  const auto byte = [&](std::int32_t page) -> std::byte& {
    return pages.pool().layer(0)[static_cast<std::size_t>(page) * pages.pool().page_bytes() + 5];
  };
  byte(from) = std::byte{7};
  pages.Copy(from, to);
  EXPECT_EQ(byte(to), std::byte{7});
  byte(from) = std::byte{8};
  EXPECT_EQ(byte(to), std::byte{7});
  pages.Clear({to});
  EXPECT_EQ(byte(to), std::byte{0});
  EXPECT_EQ(byte(from), std::byte{8});
}

TEST(KvPagesTest, CountsPagesForTokens) {
  const KvPages pages(TinyLatent(), 1, 16);
  EXPECT_EQ(pages.PagesFor(0), 0U);
  EXPECT_EQ(pages.PagesFor(16), 1U);
  EXPECT_EQ(pages.PagesFor(17), 2U);
}

}  // namespace
}  // namespace aha::rollout
