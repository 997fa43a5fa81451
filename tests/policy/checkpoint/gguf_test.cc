#include "policy/checkpoint/gguf.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/whole_file.h"
#include "gguf_bytes.h"
#include "policy/checkpoint/safetensors.h"

namespace aha::policy {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;

Result<GgufFile> Parse(const std::string& bytes) {
  return GgufFile::FromBytes(std::as_bytes(std::span(bytes)), nullptr, "here.gguf");
}

// Every type's dequantisation equals that of the Python package gguf, bit for bit.
class BlocksTest : public testing::TestWithParam<const char*> {};

TEST_P(BlocksTest, EqualTheReferenceBitForBit) {
  const fs::path golden = fs::path(AHA_SOURCE_DIR) / "tests/policy/golden/gguf";
  const auto file = GgufFile::Open(golden / "blocks.gguf");
  ASSERT_TRUE(file) << file.error().message;
  const auto want = SafetensorsFile::Open(golden / "blocks.safetensors");
  ASSERT_TRUE(want) << want.error().message;
  const GgufTensor* tensor = file->Find(GetParam());
  const TensorView* wanted = want->Find(GetParam());
  ASSERT_TRUE(tensor != nullptr && wanted != nullptr);
  EXPECT_EQ(LayoutOf(tensor->type).name, GetParam());
  EXPECT_EQ(tensor->shape, wanted->shape);
  std::vector<float> got(wanted->data.size() / sizeof(float));
  Dequantize(tensor->type, tensor->data, got.data());
  for (std::size_t i = 0; i < got.size(); ++i) {
    ASSERT_EQ(std::memcmp(&got[i], wanted->data.data() + i * sizeof(float), sizeof(float)), 0) << i;
  }
}
INSTANTIATE_TEST_SUITE_P(Types,
                         BlocksTest,
                         testing::Values("F32",
                                         "F16",
                                         "BF16",
                                         "Q4_0",
                                         "Q4_1",
                                         "Q5_0",
                                         "Q5_1",
                                         "Q8_0",
                                         "Q4_K",
                                         "Q5_K",
                                         "Q6_K"),
                         [](const auto& p) { return std::string(p.param); });

TEST(Gguf, ReadsKeysOfEveryTypeInVersions2And3) {
  const std::string body =
      Counted("u8") + Raw<std::uint32_t>(0) + Raw<std::uint8_t>(200) +                           //
      Counted("i8") + Raw<std::uint32_t>(1) + Raw<std::int8_t>(7) +                              //
      Counted("u16") + Raw<std::uint32_t>(2) + Raw<std::uint16_t>(65535) +                       //
      Counted("i16") + Raw<std::uint32_t>(3) + Raw<std::int16_t>(-3) +                           //
      U32Key("u32", 4000000000U) +                                                               //
      Counted("i32") + Raw<std::uint32_t>(5) + Raw<std::int32_t>(5) +                            //
      FloatKey("f32", 0.5F) +                                                                    //
      Counted("flag") + Raw<std::uint32_t>(7) + Raw<std::uint8_t>(1) +                           //
      TextKey("text", "a b") + TextsKey("texts", {"x", "", "yz"}) +                              //
      Counted("u64") + Raw<std::uint32_t>(10) + Raw<std::uint64_t>(UINT64_MAX) +                 //
      Counted("i64") + Raw<std::uint32_t>(11) + Raw<std::int64_t>(1) +                           //
      Counted("f64") + Raw<std::uint32_t>(12) + Raw<double>(0.25) +                              //
      Counted("i32s") + Raw<std::uint32_t>(9) + Raw<std::uint32_t>(5) + Raw<std::uint64_t>(2) +  //
      Raw<std::int32_t>(-1) + Raw<std::int32_t>(3);
  for (const std::uint32_t version : {2U, 3U}) {
    const std::string bytes = GgufBytes(0, 14, body, "", version);
    const auto file = Parse(bytes);
    ASSERT_TRUE(file) << file.error().message;
    for (const auto& [key, want] : {std::pair{"u8", 200LL},
                                    {"i8", 7LL},
                                    {"u16", 65535LL},
                                    {"u32", 4000000000LL},
                                    {"i32", 5LL},
                                    {"u64", static_cast<long long>(INT64_MAX)},
                                    {"i64", 1LL}}) {
      EXPECT_EQ(file->Count(key).value(), want) << key;
    }
    EXPECT_EQ(file->Number("f32").value(), 0.5);
    EXPECT_EQ(file->Number("f64").value(), 0.25);
    EXPECT_TRUE(file->Flag("flag", false).value());
    EXPECT_EQ(file->Text("text").value(), "a b");
    EXPECT_THAT(file->Texts("texts").value(), ElementsAre("x", "", "yz"));
    EXPECT_THAT(file->Counts("i32s").value(), ElementsAre(-1, 3));
    EXPECT_THAT(file->Counts("u8").value(), ElementsAre(200));
    EXPECT_EQ(file->Count("none", 9).value(), 9);
    EXPECT_THAT(file->Count("none").error().message, HasSubstr("here.gguf: key none is missing"));
    EXPECT_THAT(file->Count("i16").error().message, HasSubstr("key i16: is -3"));
    EXPECT_THAT(file->Text("u8").error().message, HasSubstr("key u8: must be a string"));
    EXPECT_THAT(file->Texts("text").error().message, HasSubstr("array of strings"));
    EXPECT_THAT(file->Counts("texts").error().message, HasSubstr("array of integers"));
  }
}

TEST(Gguf, ShapesAreInRowMajorOrderAndDataIsAligned) {
  const std::string bytes = GgufBytes(
      2, 0, TensorEntry("a", {4, 2}, 0, 32) + TensorEntry("b", {2}, 1, 0), std::string(64, '\1'));
  const auto file = Parse(bytes);
  ASSERT_TRUE(file) << file.error().message;
  EXPECT_THAT(file->Find("a")->shape, ElementsAre(2, 4));
  EXPECT_EQ(file->Find("a")->data.size(), 32U);
  EXPECT_EQ(file->Find("a")->data.data() - file->Find("b")->data.data(), 32);
  EXPECT_EQ(file->Find("b")->data.size(), 4U);
  EXPECT_EQ(file->Find("c"), nullptr);
}

struct CorruptGguf {
  std::string name, bytes, want;
};
void PrintTo(const CorruptGguf& c, std::ostream* os) {
  *os << c.want;
}
class CorruptGgufTest : public testing::TestWithParam<CorruptGguf> {};

TEST_P(CorruptGgufTest, NamesFileAndField) {
  const auto file = Parse(GetParam().bytes);
  ASSERT_FALSE(file);
  EXPECT_THAT(file.error().message, HasSubstr("here.gguf: "));
  EXPECT_THAT(file.error().message, HasSubstr(GetParam().want));
}

const std::string kData(64, '\0');
INSTANTIATE_TEST_SUITE_P(
    Table,
    CorruptGgufTest,
    testing::Values(
        CorruptGguf{"Empty", "", "GGUF"},
        CorruptGguf{"Magic", "GGML" + Raw<std::uint32_t>(3), "GGUF"},
        CorruptGguf{"CutInVersion", "GGUF\x03", "version"},
        CorruptGguf{"Version1", GgufBytes(0, 0, "", "", 1), "GGUF version 1"},
        CorruptGguf{"Version4", GgufBytes(0, 0, "", "", 4), "GGUF version 4"},
        CorruptGguf{"BigEndian", GgufBytes(0, 0, "", "", 0x03000000U), "big-endian"},
        CorruptGguf{"CutInCounts", "GGUF" + Raw<std::uint32_t>(3) + "123", "counts"},
        CorruptGguf{"TooManyKeys", GgufBytes(0, UINT64_MAX, U32Key("a", 1)), "kv_count"},
        CorruptGguf{"TooManyTensors", GgufBytes(1ULL << 60, 0, TensorEntry("a", {1}, 0, 0)),
                    "tensor_count"},
        CorruptGguf{"OneKeyMissing", GgufBytes(0, 2, U32Key("a", 1) + "123456789"), "key 1 of 2"},
        CorruptGguf{"KeyNameTooLong", GgufBytes(0, 1, Raw<std::uint64_t>(1ULL << 62) + "abcdef"),
                    "name reaches beyond"},
        CorruptGguf{"KeyTwice", GgufBytes(0, 2, U32Key("a", 1) + U32Key("a", 2)),
                    "key a: appears twice"},
        CorruptGguf{"ValueType",
                    GgufBytes(0, 1, Counted("a") + Raw<std::uint32_t>(13) + "12345678"),
                    "key a: has type 13"},
        CorruptGguf{
            "TextTooLong",
            GgufBytes(0, 1, Counted("a") + Raw<std::uint32_t>(8) + Raw<std::uint64_t>(1000) + "x"),
            "key a: its value"},
        CorruptGguf{"ArrayTooLong",
                    GgufBytes(0,
                              1,
                              Counted("a") + Raw<std::uint32_t>(9) + Raw<std::uint32_t>(4) +
                                  Raw<std::uint64_t>(1ULL << 61) + "1234"),
                    "key a: an array of 2305843009213693952"},
        CorruptGguf{"TextsTooLong",
                    GgufBytes(0,
                              1,
                              Counted("a") + Raw<std::uint32_t>(9) + Raw<std::uint32_t>(8) +
                                  Raw<std::uint64_t>(2) + Counted("x") + "1234567"),
                    "key a: string 1"},
        CorruptGguf{"ArrayOfArrays",
                    GgufBytes(0,
                              1,
                              Counted("a") + Raw<std::uint32_t>(9) + Raw<std::uint32_t>(9) +
                                  Raw<std::uint64_t>(1) + std::string(16, '\0')),
                    "key a: is an array of type 9"},
        CorruptGguf{"NoDimensions", GgufBytes(1, 0, TensorEntry("t", {}, 0, 0) + "12345678", kData),
                    "tensor t: has 0 dimensions"},
        CorruptGguf{"ManyDimensions",
                    GgufBytes(1, 0, TensorEntry("t", {1, 1, 1, 1, 1}, 0, 0), kData),
                    "tensor t: has 5 dimensions"},
        CorruptGguf{"ZeroDimension", GgufBytes(1, 0, TensorEntry("t", {4, 0}, 0, 0), kData),
                    "tensor t: dimension 1 is 0"},
        CorruptGguf{"HugeDimension", GgufBytes(1, 0, TensorEntry("t", {UINT64_MAX}, 0, 0), kData),
                    "tensor t: dimension 0"},
        CorruptGguf{"HugeShape",
                    GgufBytes(1, 0, TensorEntry("t", {1ULL << 40, 1ULL << 40}, 0, 0), kData),
                    "more than 64 bits"},
        CorruptGguf{"UnknownType", GgufBytes(1, 0, TensorEntry("t", {4}, 99, 0), kData),
                    "tensor t: type 99 (unknown)"},
        CorruptGguf{"OtherType", GgufBytes(1, 0, TensorEntry("t", {256}, 10, 0), kData),
                    "tensor t: type 10 (Q2_K)"},
        CorruptGguf{"PartOfABlock", GgufBytes(1, 0, TensorEntry("t", {33}, 8, 0), kData),
                    "tensor t: rows of 33"},
        CorruptGguf{
            "TensorTwice",
            GgufBytes(2, 0, TensorEntry("t", {4}, 0, 0) + TensorEntry("t", {4}, 0, 32), kData),
            "tensor t: appears twice"},
        CorruptGguf{"OffsetBeyond", GgufBytes(1, 0, TensorEntry("t", {4}, 0, 1ULL << 62), kData),
                    "tensor t: 16 bytes at offset"},
        CorruptGguf{"CutShort", GgufBytes(1, 0, TensorEntry("t", {32}, 0, 0), kData),
                    "tensor t: 128 bytes at offset 0"},
        CorruptGguf{"NoData", GgufBytes(1, 0, TensorEntry("t", {32}, 0, 0)),
                    "ends before its tensors' data"},
        CorruptGguf{"Unaligned", GgufBytes(1, 0, TensorEntry("t", {4}, 0, 8), kData),
                    "tensor t: offset 8"},
        CorruptGguf{
            "Overlap",
            GgufBytes(2, 0, TensorEntry("t", {16}, 0, 0) + TensorEntry("u", {4}, 0, 32), kData),
            "tensor u: overlaps tensor t"},
        CorruptGguf{"Hole",
                    GgufBytes(2,
                              0,
                              TensorEntry("t", {4}, 0, 0) + TensorEntry("u", {4}, 0, 64),
                              std::string(96, '\1')),
                    "tensor u: 48 bytes before it belong to no tensor"},
        CorruptGguf{"TooFewTensors",
                    GgufBytes(1, 0, TensorEntry("t", {4}, 0, 0), std::string(96, '\1')),
                    "80 bytes after the last tensor, t, belong to none; tensor_count 1"},
        CorruptGguf{"Alignment", GgufBytes(0, 1, U32Key("general.alignment", 24)),
                    "general.alignment"},
        CorruptGguf{"NoAlignment", GgufBytes(0, 1, U32Key("general.alignment", 0)),
                    "general.alignment"}),
    [](const auto& p) { return p.param.name; });

TEST(Gguf, EveryCutOfAFileIsAnError) {
  const auto whole = ReadFile(fs::path(AHA_SOURCE_DIR) / "tests/policy/golden/gguf/blocks.gguf");
  ASSERT_TRUE(whole);
  for (std::size_t size = 0; size < whole->size(); size += size < 1200 ? 1 : 97) {
    const std::string cut = whole->substr(0, size);
    EXPECT_FALSE(Parse(cut)) << size;
  }
}

}  // namespace
}  // namespace aha::policy
