#include "policy/checkpoint/safetensors.h"

#include <array>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/keyed_random.h"
#include "base/whole_file.h"

namespace aha::policy {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class SafetensorsTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(testing::TempDir()) /
              fmt::format("aha_safetensors_{}",
                          testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::remove_all(folder_);
    fs::create_directories(folder_);
    file_ = folder_ / "model.safetensors";
  }
  void TearDown() override { fs::remove_all(folder_); }
  fs::path folder_, file_;
};

// A file's bytes: the header's length, the header, `data` bytes that count up.
std::string Bytes(std::string_view header, std::size_t data, std::uint64_t length) {
  std::string bytes(8, '\0');
  for (std::size_t i = 0; i < 8; ++i)
    bytes[i] = static_cast<char>((length >> (8 * i)) & 0xFFU);
  bytes += header;
  for (std::size_t i = 0; i < data; ++i)
    bytes.push_back(static_cast<char>(i));
  return bytes;
}
std::string Bytes(std::string_view header, std::size_t data) {
  return Bytes(header, data, header.size());
}

TEST_F(SafetensorsTest, WritesExactlyTheseBytes) {
  const std::array<std::byte, 4> f{std::byte{1}, std::byte{2}, std::byte{3}, std::byte{4}};
  const std::array<std::byte, 2> u{std::byte{5}, std::byte{6}};
  ASSERT_TRUE(WriteSafetensors(file_,
                               {{"b", SafetensorsDtype::kF32, {}, f},
                                {"a", SafetensorsDtype::kU8, {2}, u},
                                {"c", SafetensorsDtype::kF16, {0, 7}, {}}},
                               {{"format", "pt"}}));
  std::string header = R"({"__metadata__":{"format":"pt"},)"
                       R"("a":{"data_offsets":[0,2],"dtype":"U8","shape":[2]},)"
                       R"("b":{"data_offsets":[2,6],"dtype":"F32","shape":[]},)"
                       R"("c":{"data_offsets":[6,6],"dtype":"F16","shape":[0,7]}})";
  header.append((8 - header.size() % 8) % 8, ' ');
  EXPECT_EQ(ReadFile(file_).value(), Bytes(header, 0) + "\x05\x06\x01\x02\x03\x04");

  const auto opened = SafetensorsFile::Open(file_);
  ASSERT_TRUE(opened) << opened.error().message;
  ASSERT_EQ(opened->tensors().size(), 3U);
  EXPECT_EQ(opened->tensors()[0].name, "a");
  EXPECT_THAT(opened->metadata(),
              ElementsAre(std::pair<const std::string, std::string>("format", "pt")));
  const TensorView* b = opened->Find("b");
  ASSERT_NE(b, nullptr);
  EXPECT_EQ(b->dtype, SafetensorsDtype::kF32);
  EXPECT_THAT(b->shape, IsEmpty());
  EXPECT_THAT(std::vector(b->data.begin(), b->data.end()), testing::ElementsAreArray(f));
  EXPECT_THAT(opened->Find("c")->shape, ElementsAre(0, 7));
  EXPECT_EQ(opened->Find("d"), nullptr);
}

TEST_F(SafetensorsTest, EveryTypeComesBack) {
  const std::vector<std::byte> bytes(8);
  std::vector<TensorView> tensors;
  for (int i = 0; i < 12; ++i) {
    const auto dtype = static_cast<SafetensorsDtype>(i);
    EXPECT_EQ(DtypeNamed(DtypeName(dtype)), dtype);
    tensors.push_back(
        {std::string(DtypeName(dtype)), dtype, {1}, std::span(bytes).first(DtypeSize(dtype))});
  }
  ASSERT_TRUE(WriteSafetensors(file_, tensors, {}));
  const auto opened = SafetensorsFile::Open(file_).value();
  ASSERT_EQ(opened.tensors().size(), 12U);
  for (const TensorView& tensor : opened.tensors())
    EXPECT_EQ(DtypeName(tensor.dtype), tensor.name);
}

TEST_F(SafetensorsTest, BytesOutliveTheFilesMoveAndItsName) {
  const std::array<std::byte, 1> one{std::byte{42}};
  ASSERT_TRUE(WriteSafetensors(file_, {{"a", SafetensorsDtype::kU8, {1}, one}}, {}));
  auto opened = SafetensorsFile::Open(file_);
  const std::span<const std::byte> data = opened->tensors()[0].data;
  const SafetensorsFile moved = std::move(*opened);
  fs::remove(file_);
  EXPECT_EQ(data[0], std::byte{42});
  EXPECT_EQ(moved.tensors()[0].data.data(), data.data());
}

TEST_F(SafetensorsTest, FailedWriteLeavesTheOldFile) {
  const std::array<std::byte, 2> two{};
  ASSERT_TRUE(WriteSafetensors(file_, {{"a", SafetensorsDtype::kU8, {2}, two}}, {}));
  const std::string before = ReadFile(file_).value();
  const TensorView good{"a", SafetensorsDtype::kU8, {2}, two};
  const std::pair<std::vector<TensorView>, std::string_view> cases[] = {
      {{{"a", SafetensorsDtype::kU8, {3}, two}}, "tensor \"a\" has 2 bytes"},
      {{{"a", SafetensorsDtype::kU8, {-1}, two}}, "impossible"},
      {{{"a", SafetensorsDtype::kF64, {INT64_MAX, 2}, two}}, "impossible"},
      {{good, good}, "\"a\" is there twice"},
      {{{"__metadata__", SafetensorsDtype::kU8, {2}, two}}, "__metadata__"},
      {{{"\xFF", SafetensorsDtype::kU8, {2}, two}}, "UTF-8"},
  };
  for (const auto& [tensors, want] : cases) {
    const Status written = WriteSafetensors(file_, tensors, {});
    ASSERT_FALSE(written);
    EXPECT_EQ(written.error().code, Code::kInvalidArgument);
    EXPECT_THAT(written.error().message, HasSubstr(want));
  }
  EXPECT_EQ(WriteSafetensors(folder_ / "gone" / "x", {good}, {}).error().code, Code::kNotFound);
  EXPECT_EQ(ReadFile(file_).value(), before);
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_), {}), 1);
}

struct CorruptCase {
  std::string name, bytes, want;
};
void PrintTo(const CorruptCase& c, std::ostream* os) {
  *os << c.bytes.substr(0, 100);
}

// A header of one tensor "t" with these fields.
std::string T(std::string_view fields) {
  return fmt::format(R"({{"t":{{{}}}}})", fields);
}

class CorruptSafetensorsTest : public testing::TestWithParam<CorruptCase> {};

TEST_P(CorruptSafetensorsTest, NamesFileTensorAndField) {
  const fs::path file =
      fs::path(testing::TempDir()) / fmt::format("aha_corrupt_{}", GetParam().name);
  std::ofstream(file, std::ios::binary) << GetParam().bytes;
  const auto opened = SafetensorsFile::Open(file);
  fs::remove(file);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, Code::kCorrupt);
  EXPECT_THAT(opened.error().message, HasSubstr(file.string() + ": "));
  EXPECT_THAT(opened.error().message, HasSubstr(GetParam().want));
}

INSTANTIATE_TEST_SUITE_P(
    Table,
    CorruptSafetensorsTest,
    testing::Values(
        CorruptCase{"Empty", "", "too few"},
        CorruptCase{"Short", "1234567", "too few"},
        CorruptCase{"HeaderBeyondFile", Bytes("{}", 0, 3), "longer than the file"},
        CorruptCase{"HeaderBeyondFormat", Bytes("{}", 0, UINT64_MAX), "longer than the format"},
        CorruptCase{"NoHeader", Bytes("", 0), "does not start with {"},
        CorruptCase{"SpaceFirst", Bytes(" {}", 0), "does not start with {"},
        CorruptCase{"NotJson", Bytes("{\"a\"", 0), "not valid JSON"},
        CorruptCase{"NotUtf8", Bytes("{\"\xFF\":1}", 0), "not valid JSON"},
        CorruptCase{"Trailing", Bytes("{}{}", 0), "not valid JSON"},
        CorruptCase{"TensorNumber", Bytes(R"({"t":1})", 0), "\"t\": a number"},
        CorruptCase{"DeepInShape", Bytes(T(R"("shape":)" + std::string(10000, '[')), 0),
                    "tensor \"t\", shape"},
        CorruptCase{"DeepAtTop", Bytes(R"({"t":)" + std::string(10000, '['), 0), "an array"},
        CorruptCase{"DeepObject", Bytes(R"({"t":{"dtype":{"x":{)", 0),
                    "tensor \"t\", dtype: an object"},
        CorruptCase{"Type", Bytes(T(R"("dtype":"F99","shape":[],"data_offsets":[0,4])"), 4),
                    "dtype: \"F99\""},
        CorruptCase{"UnknownField", Bytes(T(R"("type":"F32")"), 4), "unknown field \"type\""},
        CorruptCase{"FieldTwice", Bytes(T(R"("dtype":"F32","dtype":"F32")"), 4),
                    "dtype: appears twice"},
        CorruptCase{"TensorTwice",
                    Bytes(R"({"t":{"dtype":"U8","shape":[],"data_offsets":[0,1]},"t":{}})", 1),
                    "\"t\" appears twice"},
        CorruptCase{"MetadataTwice", Bytes(R"({"__metadata__":{"a":"1","a":"2"}})", 0),
                    "\"a\" appears twice"},
        CorruptCase{"MetadataNumber", Bytes(R"({"__metadata__":{"a":1}})", 0),
                    "__metadata__, \"a\""},
        CorruptCase{"MissingShape", Bytes(T(R"("dtype":"F32","data_offsets":[0,4])"), 4),
                    "shape is missing"},
        CorruptCase{"MissingOffsets", Bytes(T(R"("dtype":"F32","shape":[])"), 4),
                    "data_offsets is missing"},
        CorruptCase{"NegativeDimension",
                    Bytes(T(R"("dtype":"U8","shape":[-1],"data_offsets":[0,1])"), 1), "shape"},
        CorruptCase{"FractionalDimension",
                    Bytes(T(R"("dtype":"U8","shape":[1.0],"data_offsets":[0,1])"), 1), "shape"},
        CorruptCase{
            "HugeDimension",
            Bytes(T(R"("dtype":"U8","shape":[9223372036854775808],"data_offsets":[0,1])"), 1),
            "too large"},
        CorruptCase{
            "OverflowingShape",
            Bytes(T(R"("dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0])"), 0),
            "64 bits"},
        CorruptCase{"ThreeOffsets",
                    Bytes(T(R"("dtype":"U8","shape":[1],"data_offsets":[0,1,2])"), 1),
                    "two numbers"},
        CorruptCase{"OneOffset", Bytes(T(R"("dtype":"U8","shape":[1],"data_offsets":[0])"), 1),
                    "two numbers"},
        CorruptCase{"BackwardOffsets",
                    Bytes(T(R"("dtype":"U8","shape":[1],"data_offsets":[1,0])"), 1), "ends before"},
        CorruptCase{"WrongLength", Bytes(T(R"("dtype":"F32","shape":[2],"data_offsets":[0,4])"), 4),
                    "ask for 8"},
        CorruptCase{"CutShort", Bytes(T(R"("dtype":"U8","shape":[4],"data_offsets":[0,4])"), 3),
                    "reaches beyond"},
        CorruptCase{"HoleBefore", Bytes(T(R"("dtype":"U8","shape":[1],"data_offsets":[1,2])"), 2),
                    "hole"},
        CorruptCase{"HoleBehind", Bytes(T(R"("dtype":"U8","shape":[1],"data_offsets":[0,1])"), 2),
                    "end at byte 1"},
        CorruptCase{"Overlap",
                    Bytes(R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},)"
                          R"("b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}})",
                          3),
                    "tensor \"b\", data_offsets: [1, 3] overlaps"}),
    [](const auto& p) { return p.param.name; });

// One to three bytes changed, or the end cut off.
std::string Mutate(std::string text, DrawSequence& draw) {
  for (std::int64_t n = draw.Integer(1, 3); n > 0 && !text.empty(); --n) {
    const auto at =
        static_cast<std::size_t>(draw.Integer(0, static_cast<std::int64_t>(text.size()) - 1));
    if (draw.Chance(0.1)) {
      text.resize(at);
    } else if (draw.Chance(0.5)) {
      text[at] = static_cast<char>(draw.Integer(0, 255));
    } else {
      text[at] = draw.Pick(std::string_view("{}[],:\"0123456789-eE "));
    }
  }
  return text;
}

TEST_F(SafetensorsTest, MutatedFilesNeverCrash) {
  const std::vector<std::byte> bytes(64);
  ASSERT_TRUE(
      WriteSafetensors(file_,
                       {{"model.embed", SafetensorsDtype::kF32, {2, 4}, std::span(bytes).first(32)},
                        {"model.norm", SafetensorsDtype::kBF16, {8}, std::span(bytes).first(16)},
                        {"scalar", SafetensorsDtype::kI64, {}, std::span(bytes).first(8)}},
                       {{"format", "pt"}}));
  const std::string whole = ReadFile(file_).value();
  int opened_count = 0;
  for (std::uint64_t i = 0; i < 200; ++i) {
    DrawSequence draw(KeyedRandom(5, "safetensors mutation").With(i));
    const std::string mutated = Mutate(whole, draw);
    std::ofstream(file_, std::ios::binary) << mutated;
    const auto opened = SafetensorsFile::Open(file_);
    if (!opened) {
      EXPECT_EQ(opened.error().code, Code::kCorrupt) << opened.error().message;
      continue;
    }
    ++opened_count;
    std::size_t sum = 0;  // touches every byte that is offered
    for (const TensorView& tensor : opened->tensors()) {
      for (const std::byte byte : tensor.data)
        sum += static_cast<std::size_t>(byte);
    }
    EXPECT_LE(sum, 255 * mutated.size());
  }
  EXPECT_GT(opened_count, 0);
  EXPECT_LT(opened_count, 200);
}

TEST(SafetensorsHeader, MutatedHeadersNeverCrash) {
  const std::string header =
      R"({"__metadata__":{"a":"b"},"t":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},)"
      R"("u":{"shape":[],"data_offsets":[24,25],"dtype":"U8"}})";
  ASSERT_TRUE(internal::ParseSafetensorsHeader(header));
  int parsed_count = 0;
  for (std::uint64_t i = 0; i < 20'000; ++i) {
    DrawSequence draw(KeyedRandom(6, "header mutation").With(i));
    const auto parsed = internal::ParseSafetensorsHeader(Mutate(header, draw));
    if (!parsed) continue;
    ++parsed_count;
    for (const auto& tensor : parsed->tensors) {
      EXPECT_EQ(internal::ByteCount(tensor.shape, tensor.dtype), tensor.end - tensor.begin);
    }
  }
  EXPECT_GT(parsed_count, 0);
  EXPECT_LT(parsed_count, 20'000);
}

}  // namespace
}  // namespace aha::policy
