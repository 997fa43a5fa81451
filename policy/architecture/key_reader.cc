#include "policy/architecture/key_reader.h"

#include <limits>

namespace aha::policy {

std::int64_t KeyReader::Count(const char* key,
                              std::int64_t low,
                              std::int64_t high,
                              std::optional<std::int64_t> absent) {
  const Json* value = Find(key, absent.has_value());
  if (value == nullptr) return absent.value_or(low);
  if (!value->is_number_integer()) return Refuse(key, "must be a whole number"), low;
  const bool huge = value->is_number_unsigned() &&
                    value->get<std::uint64_t>() >
                        static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  const std::int64_t number =
      huge ? std::numeric_limits<std::int64_t>::max() : value->get<std::int64_t>();
  if (number < low || number > high) {
    Refuse(key, fmt::format("is {}, must lie in [{}, {}]", number, low, high));
    return low;
  }
  return number;
}

double KeyReader::Number(const char* key, double low, double high, std::optional<double> absent) {
  const Json* value = Find(key, absent.has_value());
  if (value == nullptr) return absent.value_or(low);
  if (!value->is_number()) return Refuse(key, "must be a number"), low;
  const auto number = value->get<double>();
  if (!(number >= low && number <= high)) {
    Refuse(key, fmt::format("is {}, must lie in [{}, {}]", number, low, high));
    return low;
  }
  return number;
}

bool KeyReader::Flag(const char* key, bool absent) {
  const Json* value = Find(key, true);
  if (value == nullptr) return absent;
  if (!value->is_boolean()) Refuse(key, "must be true or false");
  return value->is_boolean() && value->get<bool>();
}

std::string KeyReader::Text(const char* key, std::string_view absent) {
  const Json* value = Find(key, true);
  if (value == nullptr) return std::string(absent);
  if (!value->is_string()) return Refuse(key, "must be text"), std::string(absent);
  return value->get<std::string>();
}

std::vector<std::int64_t> KeyReader::Counts(const char* key, std::int64_t low, std::int64_t high) {
  const Json* value = Find(key, true);
  std::vector<std::int64_t> numbers;
  if (value == nullptr) return numbers;
  if (!value->is_array()) return Refuse(key, "must be a list of whole numbers"), numbers;
  for (const Json& entry : *value) {
    const bool whole = entry.is_number_integer() &&
                       (!entry.is_number_unsigned() ||
                        entry.get<std::uint64_t>() <= static_cast<std::uint64_t>(high));
    if (!whole || entry.get<std::int64_t>() < low || entry.get<std::int64_t>() > high) {
      return Refuse(key, fmt::format("holds {}; whole numbers in [{}, {}] are wanted", entry.dump(),
                                     low, high)),
             numbers;
    }
    numbers.push_back(entry.get<std::int64_t>());
  }
  return numbers;
}

const Json* KeyReader::Find(const char* key, bool optional) {
  const auto it = object_.find(key);
  if (it == object_.end() || it->is_null()) {
    if (!optional) Refuse(key, "is missing");
    return nullptr;
  }
  return &*it;
}

void KeyReader::Refuse(std::string_view key, std::string_view what) {
  Refuse(Error{Code::kInvalidArgument, fmt::format("{}: key \"{}\" {}", where_, key, what)});
}

}  // namespace aha::policy
