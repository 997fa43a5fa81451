#include <algorithm>

#include <nlohmann/json.hpp>

#include "rewards/text.h"
#include "rewards/verifiers/instructions/instructions.h"

namespace aha::rewards::instructions {
namespace {

using Json = nlohmann::json;

bool IsWhole(const Json& value) {
  if (value.is_number_integer()) return true;
  return value.is_number_float() &&
         value.get<double>() == static_cast<double>(static_cast<std::int64_t>(
                                    std::clamp(value.get<double>(), -9e15, 9e15)));
}

Result<bool> IsOfType(const Json& value, const Json& type) {
  if (type.is_array()) {
    for (const Json& one : type) {
      AHA_ASSIGN(const bool fits, IsOfType(value, one));
      if (fits) return true;
    }
    return false;
  }
  const std::string name = type.is_string() ? type.get<std::string>() : std::string();
  if (name == "object") return value.is_object();
  if (name == "array") return value.is_array();
  if (name == "string") return value.is_string();
  if (name == "integer") return IsWhole(value);
  if (name == "number") return value.is_number();
  if (name == "boolean") return value.is_boolean();
  if (name == "null") return value.is_null();
  return Fail(Code::kInvalidArgument, "schema: '{}' is no type", type.dump());
}

Result<bool> HasAll(const Json& value, const Json& names) {
  if (!names.is_array()) return Fail(Code::kInvalidArgument, "schema: 'required' must be a list");
  for (const Json& name : names) {
    if (!name.is_string())
      return Fail(Code::kInvalidArgument, "schema: 'required' must hold texts");
    if (value.is_object() && !value.contains(name.get<std::string>())) return false;
  }
  return true;
}

Result<bool> PropertiesFit(const Json& value, const Json& properties, int depth) {
  if (!properties.is_object())
    return Fail(Code::kInvalidArgument, "schema: 'properties' must be an object");
  for (const auto& [name, schema] : properties.items()) {
    if (!value.is_object() || !value.contains(name)) continue;
    AHA_ASSIGN(const bool fits, FitsSchema(value[name], schema, depth + 1));
    if (!fits) return false;
  }
  return true;
}

bool HasOnlyKnown(const Json& value, const Json& schema) {
  if (!value.is_object()) return true;
  const Json known = schema.value("properties", Json::object());
  return std::all_of(value.items().begin(), value.items().end(),
                     [&](const auto& item) { return known.contains(item.key()); });
}

Result<bool> ItemsFit(const Json& value, const Json& schema, int depth) {
  if (!value.is_array()) return true;
  for (const Json& item : value) {
    AHA_ASSIGN(const bool fits, FitsSchema(item, schema, depth + 1));
    if (!fits) return false;
  }
  return true;
}

// A bound on a size or a number; nothing when the value is of another type.
Result<bool> WithinBound(const Json& value, const std::string& keyword, const Json& bound) {
  if (!bound.is_number())
    return Fail(Code::kInvalidArgument, "schema: '{}' must be a number", keyword);
  double measured = 0;
  if (keyword.ends_with("Items")) {
    if (!value.is_array()) return true;
    measured = static_cast<double>(value.size());
  } else if (keyword.ends_with("Length")) {
    if (!value.is_string()) return true;
    measured = static_cast<double>(DecodeUtf8(value.get<std::string>()).size());
  } else {
    if (!value.is_number()) return true;
    measured = value.get<double>();
  }
  return keyword.starts_with("min") ? measured >= bound.get<double>()
                                    : measured <= bound.get<double>();
}

Result<bool> KeywordFits(const Json& value,
                         const std::string& keyword,
                         const Json& schema,
                         int depth) {
  const Json& argument = schema[keyword];
  if (keyword == "type") return IsOfType(value, argument);
  if (keyword == "const") return value == argument;
  if (keyword == "enum")
    return argument.is_array() &&
           std::find(argument.begin(), argument.end(), value) != argument.end();
  if (keyword == "required") return HasAll(value, argument);
  if (keyword == "properties") return PropertiesFit(value, argument, depth);
  if (keyword == "additionalProperties" && argument.is_boolean())
    return argument.get<bool>() || HasOnlyKnown(value, schema);
  if (keyword == "items") return ItemsFit(value, argument, depth);
  for (const char* bound :
       {"minItems", "maxItems", "minLength", "maxLength", "minimum", "maximum"}) {
    if (keyword == bound) return WithinBound(value, keyword, argument);
  }
  if (keyword == "$schema" || keyword == "title" || keyword == "description") return true;
  return Fail(Code::kInvalidArgument, "schema: '{}' is not supported", keyword);
}

}  // namespace

Result<bool> FitsSchema(const Json& value, const Json& schema, int depth) {
  if (depth > 64) return Fail(Code::kInvalidArgument, "schema: is nested too deeply");
  if (schema.is_boolean()) return schema.get<bool>();
  if (!schema.is_object()) return Fail(Code::kInvalidArgument, "schema: must be an object");
  // All keywords are looked at, so that one that is not supported is refused for every completion.
  bool fits = true;
  for (const auto& [keyword, argument] : schema.items()) {
    AHA_ASSIGN(const bool kept, KeywordFits(value, keyword, schema, depth));
    fits = fits && kept;
  }
  return fits;
}

}  // namespace aha::rewards::instructions
