#include "policy/tokenizer/post_processor.h"

#include "policy/checkpoint/strict_json.h"
#include "policy/tokenizer/token_table.h"

namespace aha::policy {
namespace {

// The ids that a template's special token stands for.
Result<std::vector<std::int32_t>> TemplateIds(const nlohmann::json& json,
                                              const nlohmann::json& piece,
                                              const std::string& where) {
  AHA_ASSIGN(const auto name, JsonField<std::string>(piece, where, "id"));
  const nlohmann::json& ids =
      JsonMember(JsonMember(JsonMember(json, "special_tokens"), name.c_str()), "ids");
  if (!ids.is_array()) {
    return Fail(Code::kCorrupt, "{}: special_tokens has no ids for \"{}\"", where, name);
  }
  std::vector<std::int32_t> out;
  for (const auto& value : ids) {
    AHA_ASSIGN(const auto id, JsonValue<std::int64_t>(value, where));
    if (id < 0 || id > TokenTable::kMaxId)
      return Fail(Code::kCorrupt, "{}: id {} is out of range", where, id);
    out.push_back(static_cast<std::int32_t>(id));
  }
  return out;
}

Result<PostProcessor> FromTemplate(const nlohmann::json& json, std::string_view where) {
  const nlohmann::json& single = JsonMember(json, "single");
  if (!single.is_array()) return Fail(Code::kCorrupt, "{}.single: must be an array", where);
  PostProcessor processor;
  bool text_seen = false;
  for (std::size_t i = 0; i < single.size(); ++i) {
    const std::string at = fmt::format("{}.single[{}]", where, i);
    const nlohmann::json& sequence = JsonMember(single[i], "Sequence");
    if (!sequence.is_null()) {
      AHA_ASSIGN(const auto id, JsonField<std::string>(sequence, at, "id"));
      if (id != "A" || text_seen) {
        return Fail(Code::kInvalidArgument, "{}: only the sequence A, once, is supported", at);
      }
      text_seen = true;
      continue;
    }
    AHA_ASSIGN(const auto ids, TemplateIds(json, JsonMember(single[i], "SpecialToken"), at));
    auto& side = text_seen ? processor.after : processor.before;
    side.insert(side.end(), ids.begin(), ids.end());
  }
  if (!text_seen) return Fail(Code::kInvalidArgument, "{}.single: has no sequence A", where);
  return processor;
}

}  // namespace

Result<PostProcessor> PostProcessor::FromJson(const nlohmann::json& json, std::string_view where) {
  if (json.is_null()) return PostProcessor();
  AHA_ASSIGN(const auto type, JsonField<std::string>(json, where, "type"));
  if (type == "ByteLevel") return PostProcessor();  // moves offsets, never ids
  if (type == "TemplateProcessing") return FromTemplate(json, where);
  if (type != "Sequence") {
    return Fail(
        Code::kInvalidArgument,
        "{}: post-processor {} is not supported; known: ByteLevel, TemplateProcessing, Sequence",
        where, type);
  }
  const nlohmann::json& parts = JsonMember(json, "processors");
  if (!parts.is_array()) return Fail(Code::kCorrupt, "{}.processors: must be an array", where);
  PostProcessor all;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    AHA_ASSIGN(const auto part, FromJson(parts[i], fmt::format("{}.processors[{}]", where, i)));
    all.before.insert(all.before.begin(), part.before.begin(), part.before.end());
    all.after.insert(all.after.end(), part.after.begin(), part.after.end());
  }
  return all;
}

}  // namespace aha::policy
