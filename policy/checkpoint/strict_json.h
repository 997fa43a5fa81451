#pragma once
/// JSON from files that nobody vouches for: no duplicate keys, no deep nesting, errors as values.

#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "base/result.h"

namespace aha::policy {

/// Nothing in a Hugging Face folder nests deeper than this.
inline constexpr int kMaxJsonDepth = 64;

/// Parses one JSON document. kCorrupt with `where` (a file's name) in front when it is no JSON,
/// repeats a key inside one object or nests deeper than kMaxJsonDepth.
Result<nlohmann::json> ParseStrictJson(std::string_view text, std::string_view where);

/// The member `key` of `object` as a T (bool, std::string, std::int64_t, ...). kCorrupt naming
/// `where` and `key` when `object` is no object, or the member is missing or of another type.
template <class T>
Result<T> JsonField(const nlohmann::json& object, std::string_view where, const char* key);

/// Like JsonField; a missing or null member is `otherwise`.
template <class T>
Result<T> JsonFieldOr(const nlohmann::json& object,
                      std::string_view where,
                      const char* key,
                      T otherwise) {
  if (object.is_object()) {
    const auto found = object.find(key);
    if (found == object.end() || found->is_null()) return otherwise;
  }
  return JsonField<T>(object, where, key);
}

/// The member `key`, or null when `object` has none or is no object.
const nlohmann::json& JsonMember(const nlohmann::json& object, const char* key);

/// A value as a T; the leaf of JsonField. Integers must be JSON integers that fit.
template <class T>
Result<T> JsonValue(const nlohmann::json& value, std::string_view where);

template <>
Result<bool> JsonValue(const nlohmann::json& value, std::string_view where);
template <>
Result<std::string> JsonValue(const nlohmann::json& value, std::string_view where);
template <>
Result<std::int64_t> JsonValue(const nlohmann::json& value, std::string_view where);

template <class T>
Result<T> JsonField(const nlohmann::json& object, std::string_view where, const char* key) {
  const std::string path = where.empty() ? std::string(key) : fmt::format("{}.{}", where, key);
  if (!object.is_object()) return Fail(Code::kCorrupt, "{}: must be an object", where);
  const auto found = object.find(key);
  if (found == object.end()) return Fail(Code::kCorrupt, "{}: is missing", path);
  return JsonValue<T>(*found, path);
}

}  // namespace aha::policy
