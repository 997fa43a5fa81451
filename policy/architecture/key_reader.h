#pragma once
/// Reads keys of one JSON object and remembers the first thing that was wrong with them.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/result.h"

namespace aha::policy {

using Json = nlohmann::ordered_json;

class KeyReader {
 public:
  /// Borrows `object`; `where` is what errors call it.
  KeyReader(const Json& object, std::string where) : object_(object), where_(std::move(where)) {}

  /// A whole number in [low, high]; `absent` when the key is missing or null, else that is an
  /// error.
  std::int64_t Count(const char* key,
                     std::int64_t low,
                     std::int64_t high,
                     std::optional<std::int64_t> absent = {});
  /// The same for any number.
  double Number(const char* key, double low, double high, std::optional<double> absent = {});
  bool Flag(const char* key, bool absent);
  std::string Text(const char* key, std::string_view absent);
  /// A list of whole numbers in [low, high]; empty when missing or null.
  std::vector<std::int64_t> Counts(const char* key, std::int64_t low, std::int64_t high);
  /// A key whose only supported value is `only`; missing and null pass.
  template <class T>
  void Require(const char* key, const T& only) {
    const Json* value = Find(key);
    if (value != nullptr && *value != Json(only)) {
      Refuse(key, fmt::format("is {}; only {} is supported", value->dump(), Json(only).dump()));
    }
  }
  /// The value, or nullptr when missing or null.
  const Json* Find(const char* key, bool optional = true);
  void Refuse(std::string_view key, std::string_view what);
  void Refuse(const Error& error) {
    if (!error_) error_ = error;
  }
  [[nodiscard]] const std::optional<Error>& error() const { return error_; }
  [[nodiscard]] const std::string& where() const { return where_; }

 private:
  const Json& object_;
  std::string where_;
  std::optional<Error> error_;
};

}  // namespace aha::policy
