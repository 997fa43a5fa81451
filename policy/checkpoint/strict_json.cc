#include "policy/checkpoint/strict_json.h"

#include <cstdint>
#include <limits>
#include <stdexcept>
#include <unordered_set>
#include <vector>

namespace aha::policy {
namespace {

using Json = nlohmann::json;

// What the parser's callback throws; caught by the only caller.
class Refused : public std::runtime_error {
  using std::runtime_error::runtime_error;
};

// Watches the parser's events: depth, and the keys of every object that is still open.
class Guardian {
 public:
  bool operator()(int depth, Json::parse_event_t event, Json& parsed) {
    switch (event) {
      case Json::parse_event_t::object_start:
      case Json::parse_event_t::array_start:
        if (depth >= kMaxJsonDepth) {
          throw Refused(fmt::format("nests deeper than {} levels", kMaxJsonDepth));
        }
        if (event == Json::parse_event_t::object_start) open_.emplace_back();
        break;
      case Json::parse_event_t::object_end:
        open_.pop_back();
        break;
      case Json::parse_event_t::key: {
        const auto& key = parsed.get_ref<const std::string&>();
        if (!open_.back().insert(key).second) {
          throw Refused(fmt::format("key \"{:.200}\" appears twice in one object", key));
        }
        break;
      }
      default:
        break;
    }
    return true;
  }

 private:
  std::vector<std::unordered_set<std::string>> open_;
};

}  // namespace

Result<Json> ParseStrictJson(std::string_view text, std::string_view where) {
  try {
    Guardian guardian;
    return Json::parse(text.begin(), text.end(),
                       [&](int depth, Json::parse_event_t event, Json& parsed) {
                         return guardian(depth, event, parsed);
                       });
  } catch (const Refused& refused) {
    return Fail(Code::kCorrupt, "{}: {}", where, refused.what());
  } catch (const Json::exception& error) {
    return Fail(Code::kCorrupt, "{}: not valid JSON: {:.200}", where, error.what());
  }
}

const Json& JsonMember(const Json& object, const char* key) {
  static const Json kNull;
  if (!object.is_object()) return kNull;
  const auto found = object.find(key);
  return found == object.end() ? kNull : *found;
}

template <>
Result<bool> JsonValue(const Json& value, std::string_view where) {
  if (!value.is_boolean()) return Fail(Code::kCorrupt, "{}: must be true or false", where);
  return value.get<bool>();
}

template <>
Result<std::string> JsonValue(const Json& value, std::string_view where) {
  if (!value.is_string()) return Fail(Code::kCorrupt, "{}: must be a string", where);
  return value.get<std::string>();
}

template <>
Result<std::int64_t> JsonValue(const Json& value, std::string_view where) {
  const bool fits = value.is_number_integer() &&
                    (!value.is_number_unsigned() ||
                     value.get<std::uint64_t>() <=
                         static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()));
  if (!fits) return Fail(Code::kCorrupt, "{}: must be an integer of 64 bits", where);
  return value.get<std::int64_t>();
}

}  // namespace aha::policy
