#include "rollout/kv_pool.h"

#include <set>

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "tests/policy/tiny_model.h"

namespace aha::rollout {
namespace {

KvPool FourPages() {
  return {policy::TinyConfig(), 4, 2};
}

TEST(KvPoolTest, HandsOutEachPageOnce) {
  KvPool pool = FourPages();
  EXPECT_EQ(pool.pages(), 4);
  EXPECT_EQ(pool.page_tokens(), 2);
  std::set<std::int64_t> taken;
  for (int i = 0; i < 4; ++i)
    taken.insert(pool.Take());
  EXPECT_EQ(taken, (std::set<std::int64_t>{0, 1, 2, 3}));
  EXPECT_EQ(pool.free_pages(), 0);
}

TEST(KvPoolTest, StorageHoldsEveryLayersPages) {
  KvPool pool = FourPages();
  const policy::PolicyConfig config = policy::TinyConfig();
  ASSERT_EQ(pool.storage().layers.size(), static_cast<std::size_t>(config.num_hidden_layers));
  for (const at::Tensor& layer : pool.storage().layers) {
    EXPECT_EQ(layer.sizes().vec(), (std::vector<std::int64_t>{4, 2, config.kv_width()}));
  }
}

TEST(KvPoolTest, APageIsFreeAgainWithItsLastUserOnly) {
  KvPool pool = FourPages();
  const std::int64_t page = pool.Take();
  pool.Share(page);
  pool.Share(page);
  pool.Release(page);
  pool.Release(page);
  EXPECT_EQ(pool.free_pages(), 3);
  pool.Release(page);
  EXPECT_EQ(pool.free_pages(), 4);
  std::set<std::int64_t> taken;
  for (int i = 0; i < 4; ++i)
    taken.insert(pool.Take());
  EXPECT_EQ(taken.size(), 4U);  // given back once, not twice
}

TEST(KvPoolTest, ACopyHasTheSameRowsAndALifeOfItsOwn) {
  KvPool pool = FourPages();
  const std::int64_t page = pool.Take();
  for (at::Tensor& layer : pool.storage().layers)
    layer.select(0, page).fill_(3);
  const std::int64_t copy = pool.Copy(page);
  EXPECT_NE(copy, page);
  EXPECT_EQ(pool.free_pages(), 2);
  for (at::Tensor& layer : pool.storage().layers) {
    EXPECT_TRUE(layer.select(0, copy).equal(layer.select(0, page)));
    layer.select(0, copy).fill_(4);
    EXPECT_EQ(layer.select(0, page).min().item<double>(), 3);
    EXPECT_EQ(layer.select(0, page).max().item<double>(), 3);
  }
  pool.Release(page);
  EXPECT_EQ(pool.free_pages(), 3);
  EXPECT_EQ(pool.storage().layers.front().select(0, copy).min().item<double>(), 4);
}

}  // namespace
}  // namespace aha::rollout
