#pragma once
/// A reward's own configuration: protobuf text (`no_words_score: 0.5`) checked against the keys
/// that the reward declares, built in and plug-in alike (law 7).

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"

namespace aha::rewards {

/// What a key holds; the alternative of the default is the type of the key.
using ConfigValue = std::variant<bool, std::int64_t, double, std::string>;

struct ConfigKey {
  std::string name;  ///< a letter or _, then letters, digits and _
  std::string doc;   ///< one line
  ConfigValue default_value;
  std::optional<double> min = std::nullopt;  ///< numbers only, included
  std::optional<double> max = std::nullopt;
};

/// The values of all declared keys, given or default.
class Config {
 public:
  /// Asking for a key that was not declared, or by another type, is a bug and throws.
  [[nodiscard]] bool Bool(std::string_view key) const { return Get<bool>(key); }
  [[nodiscard]] std::int64_t Integer(std::string_view key) const { return Get<std::int64_t>(key); }
  [[nodiscard]] double Real(std::string_view key) const { return Get<double>(key); }
  [[nodiscard]] const std::string& Text(std::string_view key) const {
    return Get<std::string>(key);
  }
  [[nodiscard]] const ConfigValue& Value(std::string_view key) const;

 private:
  friend Result<Config> ParseConfig(std::string_view, std::span<const ConfigKey>, std::string_view);
  template <class T>
  [[nodiscard]] const T& Get(std::string_view key) const {
    return std::get<T>(Value(key));
  }
  std::map<std::string, ConfigValue, std::less<>> values_;
};

/// Reads `text`, protobuf text format whose fields are `keys`. kInvalidArgument for an unknown key
/// (the message names the nearest), a wrong type, a repeated key, a number out of range or not
/// finite; line and column are those inside `text`. `owner` begins each message.
Result<Config> ParseConfig(std::string_view owner,
                           std::span<const ConfigKey> keys,
                           std::string_view text);

/// Of `known`, those nearest to `name` by edits, best first, at most `most`; none that has nothing
/// to do with it. For "did you mean".
std::vector<std::string> NearestNames(std::string_view name,
                                      std::span<const std::string> known,
                                      std::size_t most = 3);

/// "bool", "integer", "number" or "text".
std::string_view TypeName(const ConfigValue& value);
/// The value as protobuf text.
std::string ValueText(const ConfigValue& value);

}  // namespace aha::rewards
