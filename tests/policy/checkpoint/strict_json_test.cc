#include "policy/checkpoint/strict_json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace aha::policy {
namespace {

using testing::HasSubstr;

TEST(StrictJson, RefusesWhatNobodyMeant) {
  const std::pair<std::string, std::string_view> cases[] = {
      {R"({"a": 1, "a": 2})", "key \"a\" appears twice"},
      {R"({"x": {"b": 1, "c": {"b": 1}, "b": 2}})", "key \"b\" appears twice"},
      {std::string(100'000, '['), "nests deeper"},
      {"{\"a\": 1", "not valid JSON"},
      {"{\"a\": \"\xFF\"}", "not valid JSON"},
      {"", "not valid JSON"},
  };
  for (const auto& [text, want] : cases) {
    const auto json = ParseStrictJson(text, "file.json");
    ASSERT_FALSE(json) << text.substr(0, 40);
    EXPECT_EQ(json.error().code, Code::kCorrupt);
    EXPECT_THAT(json.error().message, HasSubstr("file.json: "));
    EXPECT_THAT(json.error().message, HasSubstr(want));
  }
}

TEST(StrictJson, SameKeyInDifferentObjectsIsFine) {
  EXPECT_TRUE(ParseStrictJson(R"({"a": {"a": 1}, "b": [{"a": 1}, {"a": 2}]})", "f"));
}

TEST(StrictJson, FieldsAreTypedAndNamed) {
  const auto json =
      ParseStrictJson(R"({"n": 18446744073709551615, "s": 1, "ok": -3, "z": null})", "f").value();
  EXPECT_THAT(JsonField<std::int64_t>(json, "top", "n").error().message, HasSubstr("top.n"));
  EXPECT_THAT(JsonField<std::string>(json, "top", "s").error().message,
              HasSubstr("top.s: must be a string"));
  EXPECT_THAT(JsonField<bool>(json, "", "gone").error().message, HasSubstr("gone: is missing"));
  EXPECT_EQ(JsonField<std::int64_t>(json, "top", "ok").value(), -3);
  EXPECT_EQ(JsonFieldOr<bool>(json, "top", "z", true).value(), true);
  EXPECT_THAT(JsonFieldOr<bool>(json, "top", "s", true).error().message, HasSubstr("top.s"));
}

}  // namespace
}  // namespace aha::policy
