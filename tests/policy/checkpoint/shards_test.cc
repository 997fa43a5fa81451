#include "policy/checkpoint/shards.h"

#include <array>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/whole_file.h"

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

// --- Writing, and the index held against the files
// ------------------------------------------------------

std::vector<TensorSource> ThreeTensors() {
  static const std::array<std::byte, 24> bytes{std::byte{1}, std::byte{2}};
  std::vector<TensorSource> tensors;
  for (const char* name : {"c", "a", "b"}) {
    tensors.push_back(SourceOf({name, SafetensorsDtype::kU8, {8}, std::span(bytes).first(8)}));
  }
  return tensors;
}

TEST_F(ShardsTest, OneFileWhenItIsLargeEnough) {
  ASSERT_TRUE(WriteCheckpoint(folder_, ThreeTensors(), {.max_shard_bytes = 24}));
  EXPECT_THAT(CheckpointShards(folder_).value(), ElementsAre(folder_ / "model.safetensors"));
  EXPECT_FALSE(fs::exists(folder_ / "model.safetensors.index.json"));
}

TEST_F(ShardsTest, IndexIsWhatHuggingFaceWrites) {
  ASSERT_TRUE(WriteCheckpoint(folder_, ThreeTensors(), {.max_shard_bytes = 20}));
  EXPECT_EQ(ReadFile(folder_ / "model.safetensors.index.json").value(), R"({
  "metadata": {
    "total_size": 24
  },
  "weight_map": {
    "a": "model-00001-of-00002.safetensors",
    "b": "model-00002-of-00002.safetensors",
    "c": "model-00001-of-00002.safetensors"
  }
}
)");
  const auto files = CheckpointFiles::Open(folder_);
  ASSERT_TRUE(files) << files.error().message;
  EXPECT_EQ(files->file_count(), 2U);
  EXPECT_EQ(files->Find("b")->file->path(), folder_ / "model-00002-of-00002.safetensors");
  EXPECT_EQ(files->Find("d"), nullptr);
}

TEST_F(ShardsTest, ATensorLargerThanAShardHasAFileToItself) {
  ASSERT_TRUE(WriteCheckpoint(folder_, ThreeTensors(), {.max_shard_bytes = 1}));
  EXPECT_EQ(CheckpointFiles::Open(folder_).value().file_count(), 3U);
}

TEST_F(ShardsTest, AnIndexThatDisagreesWithItsFilesIsRefusedByTensor) {
  const std::string one = "model-00001-of-00002.safetensors";
  const std::string two = "model-00002-of-00002.safetensors";
  const std::pair<std::string, std::vector<std::string>> cases[] = {
      {fmt::format(R"({{"weight_map": {{"a": "{}", "b": "{}", "c": "{}"}}}})", two, two, one),
       {"tensor a is in " + one, "says " + two}},
      {fmt::format(R"({{"weight_map": {{"a": "{}", "b": "{}"}}}})", one, two),
       {"tensor c is in " + one, "does not list it"}},
      {fmt::format(R"({{"weight_map": {{"a": "{}", "b": "{}", "c": "{}", "d": "{}"}}}})", one, two,
                   one, two),
       {"tensor d is not in " + two}},
  };
  ASSERT_TRUE(WriteCheckpoint(folder_, ThreeTensors(), {.max_shard_bytes = 20}));
  for (const auto& [index, want] : cases) {
    Put("model.safetensors.index.json", index);
    const auto files = CheckpointFiles::Open(folder_);
    ASSERT_FALSE(files) << index;
    EXPECT_EQ(files.error().code, Code::kCorrupt);
    EXPECT_THAT(files.error().message, HasSubstr("model.safetensors.index.json"));
    for (const std::string& part : want)
      EXPECT_THAT(files.error().message, HasSubstr(part));
  }
}

TEST_F(ShardsTest, ATensorInTwoFilesIsRefusedByName) {
  ASSERT_TRUE(WriteCheckpoint(folder_, ThreeTensors(), {.max_shard_bytes = 20}));
  fs::copy_file(folder_ / "model-00002-of-00002.safetensors", folder_ / "x.safetensors");
  Put("model.safetensors.index.json",
      R"({"weight_map": {"a": "model-00001-of-00002.safetensors", "c": "model-00001-of-00002.safetensors",
          "b": "model-00002-of-00002.safetensors", "x": "x.safetensors"}})");
  const auto files = CheckpointFiles::Open(folder_);
  ASSERT_FALSE(files);
  EXPECT_THAT(files.error().message, HasSubstr("tensor b is in"));
}

TEST_F(ShardsTest, ADeepOrHugeIndexIsRefused) {
  Put("model.safetensors.index.json", R"({"weight_map": )" + std::string(100000, '['));
  EXPECT_THAT(CheckpointFiles::Open(folder_).error().message, HasSubstr("nests deeper"));
  fs::resize_file(folder_ / "model.safetensors.index.json", std::uintmax_t{1} << 40U);
  EXPECT_THAT(CheckpointFiles::Open(folder_).error().message, HasSubstr("more than the"));
}

TEST_F(ShardsTest, AFailingSourceLeavesNoFile) {
  std::vector<TensorSource> tensors = ThreeTensors();
  tensors[1].produce = [](const ByteSink&) -> Status {
    return Fail(Code::kCorrupt, "no bytes today");
  };
  const Status written = WriteCheckpoint(folder_, std::move(tensors));
  ASSERT_FALSE(written);
  EXPECT_THAT(written.error().message, HasSubstr("no bytes today"));
  EXPECT_TRUE(fs::is_empty(folder_));
}

TEST_F(ShardsTest, ASourceOfTooManyOrTooFewBytesIsRefused) {
  for (const int pieces : {1, 3}) {
    std::vector<TensorSource> tensors = ThreeTensors();
    tensors[1].produce = [pieces](const ByteSink& sink) -> Status {
      const std::array<std::byte, 4> four{};
      for (int i = 0; i < pieces; ++i)
        AHA_TRY(sink(four));
      return {};
    };
    EXPECT_THAT(WriteCheckpoint(folder_, std::move(tensors)).error().message,
                HasSubstr("tensor \"a\" has"));
    EXPECT_TRUE(fs::is_empty(folder_));
  }
}

// --- Hashes
// -------------------------------------------------------------------------------------------

TEST_F(ShardsTest, RecordsTheSha256OfEveryTensor) {
  ASSERT_TRUE(WriteCheckpoint(folder_, ThreeTensors()));
  const auto file = SafetensorsFile::Open(folder_ / "model.safetensors").value();
  // printf '\1\2\0\0\0\0\0\0' | sha256sum
  EXPECT_EQ(file.metadata().at("sha256:a"),
            "494ea659823c4b2beb4bb7d05bfc7e505afe4815bb7ab8e4d1810e9f3787ce68");
  EXPECT_EQ(file.metadata().at("format"), "pt");
  for (const TensorView& tensor : file.tensors())
    EXPECT_TRUE(VerifyTensor(file, tensor).value());
}

TEST_F(ShardsTest, AFlippedBitIsFoundByItsHash) {
  ASSERT_TRUE(WriteCheckpoint(folder_, ThreeTensors()));
  std::string bytes = ReadFile(folder_ / "model.safetensors").value();
  bytes[bytes.size() - 12] ^= 4;  // in b
  Put("model.safetensors", bytes);
  const auto file = SafetensorsFile::Open(folder_ / "model.safetensors").value();
  EXPECT_TRUE(VerifyTensor(file, *file.Find("a")).value());
  const auto spoilt = VerifyTensor(file, *file.Find("b"));
  ASSERT_FALSE(spoilt);
  EXPECT_THAT(spoilt.error().message, HasSubstr("model.safetensors: tensor b"));
}

TEST_F(ShardsTest, WithoutARecordNothingIsVerified) {
  ASSERT_TRUE(WriteCheckpoint(folder_, ThreeTensors(), {.hashes = Hashes::kNone}));
  const auto file = SafetensorsFile::Open(folder_ / "model.safetensors").value();
  EXPECT_FALSE(VerifyTensor(file, *file.Find("a")).value());
}

}  // namespace
}  // namespace aha::policy
