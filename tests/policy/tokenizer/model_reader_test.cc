#include "policy/tokenizer/model_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace aha::policy {
namespace {

using testing::HasSubstr;

TEST(CutModelParts, TakesTheBigMembersOutAndLeavesTheRest) {
  const std::string_view text =
      R"({"a": ["vocab"], "model": {"type": "BPE", "vocab": {"}": 0}, "merges": [["a", "]"]]}, "b": "model"})";
  const auto parts = CutModelParts(text);
  ASSERT_TRUE(parts) << parts.error().message;
  EXPECT_EQ(parts->vocab, R"({"}": 0})");
  EXPECT_EQ(parts->merges, R"([["a", "]"]])");
  EXPECT_EQ(
      parts->rest,
      R"({"a": ["vocab"], "model": {"type": "BPE", "vocab": null, "merges": null}, "b": "model"})");
}

TEST(CutModelParts, NeverReadsBeyondTheEnd) {
  const std::string text =
      R"({"model": {"vocab": {"\u00e9\ud83d\ude00": 1}, "merges": ["a b", ["c", "d"]]}})";
  ASSERT_TRUE(CutModelParts(text));
  for (std::size_t size = 0; size < text.size(); ++size) {
    const std::string cut =
        text.substr(0, size);  // its own allocation: a sanitizer sees an overrun
    EXPECT_FALSE(CutModelParts(cut)) << cut;
  }
}

TEST(CutModelParts, RefusesDepthAndDuplicates) {
  EXPECT_FALSE(CutModelParts(R"({"a": )" + std::string(100000, '[')));
  EXPECT_THAT(CutModelParts(R"({"model": {"vocab": {"a": 0}, "vocab": {"b": 1}}})").error().message,
              HasSubstr("twice"));
}

TEST(ReadVocab, ReadsEscapesAsJsonMeansThem) {
  const auto table = ReadVocab(R"({"\u00e9\ud83d\ude00\n\"\\\/": 7, "plain": 0})", "v");
  ASSERT_TRUE(table) << table.error().message;
  EXPECT_EQ(table->Find("é😀\n\"\\/"), 7);
  EXPECT_EQ(table->TokenOf(0), "plain");
  EXPECT_EQ(table->TokenOf(3), std::nullopt);
  EXPECT_EQ(table->end_id(), 8);
  EXPECT_EQ(table->Find("nobody"), TokenTable::kNone);
}

TEST(ReadVocab, RefusesWithTheToken) {
  const std::pair<std::string_view, std::string_view> cases[] = {
      {R"({"a": 1, "a": 2})", R"(v["a"]: is there twice)"},
      {R"({"a": 1, "b": 1})", R"(v["b"]: another token has id 1 too)"},
      {R"({"a": 2147483648})", R"(v["a"]: id 2147483648 is not between 0 and 4194303)"},
      {R"({"a": 99999999999999999999999})", R"(v["a"]: id 99999999999999999999999 is not)"},
      {R"({"a": -1})", R"(v["a"]: id -1)"},
      {R"({"a": 1.0})", R"(v["a"]: 1.0 is not an integer)"},
      {R"({"a": 01})", R"(v["a"]: 01 is not an integer)"},
      {R"({"a": "1"})", R"(is not an integer)"},
      {R"({"a": [1, {"b": 2}]})", R"(is not an integer)"},
      {R"({"\ud800": 1})", "is not valid JSON"},
      {R"({"\x41": 1})", "is not valid JSON"},
      {"{\"a\nb\": 1}", "is not valid JSON"},
      {R"({"a" 1})", "is not valid JSON"},
      {R"({"a": 1,})", "is not valid JSON"},
      {R"({"a": 1)", "is not valid JSON"},
  };
  for (const auto& [json, want] : cases) {
    const auto table = ReadVocab(json, "v");
    ASSERT_FALSE(table) << json;
    EXPECT_EQ(table.error().code, Code::kCorrupt);
    EXPECT_THAT(table.error().message, HasSubstr(want)) << json;
  }
}

TEST(MergeReader, ReadsBothFormsInOrder) {
  MergeReader reader(R"(["#version: 0.2", "a b", ["\u0061 ", "c"], "\u00e9 d"])", "m");
  std::vector<std::string> seen;
  MergeReader::Merge merge;
  while (reader.Next(&merge).value())
    seen.push_back(fmt::format("{}|{}|{}", merge.index, merge.left, merge.right));
  EXPECT_THAT(seen, testing::ElementsAre("1|a|b", "2|a |c", "3|é|d"));
  MergeReader none("[]", "m");
  EXPECT_FALSE(none.Next(&merge).value());
}

TEST(MergeReader, RefusesWithTheIndex) {
  const std::pair<std::string_view, std::string_view> cases[] = {
      {R"(["a"])", "m[0]: \"a\" is not two tokens"},
      {R"(["a b c"])", "m[0]"},
      {R"([["a"]])", "m[0]: must be"},
      {R"([["a", "b", "c"]])", "m[0]: must be"},
      {R"([["a", 1]])", "m[0]"},
      {R"(["a b", 7])", "m[1]: must be"},
      {R"(["a b" "c d"])", "not valid JSON"},
      {R"(["a b")", "not valid JSON"},
  };
  for (const auto& [json, want] : cases) {
    MergeReader reader(json, "m");
    MergeReader::Merge merge;
    Result<bool> more = true;
    for (int i = 0; i < 4 && more && *more; ++i)
      more = reader.Next(&merge);
    ASSERT_FALSE(more) << json;
    EXPECT_THAT(more.error().message, HasSubstr(want)) << json;
  }
}

}  // namespace
}  // namespace aha::policy
