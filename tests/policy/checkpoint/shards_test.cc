#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/whole_file.h"
#include "policy/checkpoint/shards.h"

namespace aha::policy {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;

class ShardsTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ =
        fs::path(testing::TempDir()) /
        fmt::format("aha_shards_{}", testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }
  void Put(const std::string& name, std::string_view text) const {
    ASSERT_TRUE(WriteWholeFile(folder_ / name, text));
  }
  fs::path folder_;
};

TEST_F(ShardsTest, OneFileIsItsOwnShard) {
  Put("model.safetensors", "x");
  EXPECT_THAT(CheckpointShards(folder_).value(), ElementsAre(folder_ / "model.safetensors"));
}

TEST_F(ShardsTest, IndexListsEachFileOnce) {
  Put("b.safetensors", "x");
  Put("a.safetensors", "x");
  Put("model.safetensors.index.json",
      R"({"weight_map": {"t1": "b.safetensors", "t2": "a.safetensors", "t3": "b.safetensors"}})");
  EXPECT_THAT(CheckpointShards(folder_).value(),
              ElementsAre(folder_ / "a.safetensors", folder_ / "b.safetensors"));
}

TEST_F(ShardsTest, RefusesFoldersThatAreNotWhole) {
  EXPECT_EQ(CheckpointShards(folder_).error().code, Code::kNotFound);
  const std::pair<std::string, std::string_view> cases[] = {
      {R"({"weight_map": {"t": "gone.safetensors"}})", "gone.safetensors, which is not there"},
      {R"({"weight_map": {"t": "../x.safetensors"}})", "weight_map[\"t\"]"},
      {R"({"weight_map": {"t": "/etc/passwd"}})", "weight_map[\"t\"]"},
      {R"({"weight_map": {"t": ".."}})", "weight_map[\"t\"]"},
      {R"({"weight_map": {"t": "a\u0000b"}})", "weight_map[\"t\"]"},
      {R"({"weight_map": {"t": 1}})", "weight_map[\"t\"]"},
      {R"({"weight_map": {}})", "weight_map"},
      {"{}", "weight_map"},
      {"{", "not valid JSON"},
  };
  for (const auto& [index, want] : cases) {
    Put("model.safetensors.index.json", index);
    const auto shards = CheckpointShards(folder_);
    ASSERT_FALSE(shards) << index;
    EXPECT_THAT(shards.error().message, HasSubstr(want));
  }
}

}  // namespace
}  // namespace aha::policy
