#pragma once
/// Objectives by the name the field gives them: a value of `algorithm` sets the defaults of the
/// keys of Rl that it is made of. grpo leaves the schema's own.

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <google/protobuf/message.h>

namespace aha::pipelines {

/// One objective: what it sets, as a recipe would write it, and where that comes from.
struct Preset {
  struct Value {
    std::string_view key, value;
  };
  std::string_view name;
  std::string_view title;
  std::string_view formula;  ///< indented lines
  std::vector<Value> values;
  std::string_view source;
};

std::span<const Preset> Presets();

/// Sets the keys that the message's `algorithm` gives another default, where they are unset and
/// read. Other messages than Rl stay as they are.
void FillPreset(google::protobuf::Message& message);

/// A copy of `message` (this one level) with FillPreset applied: what conditions are asked of.
std::unique_ptr<google::protobuf::Message> WithPreset(const google::protobuf::Message& message);

/// What `aha explain NAME` says of an objective: formula, every piece with its value, source.
/// Nothing: there is none of that name.
std::optional<std::string> ExplainPreset(std::string_view name);

}  // namespace aha::pipelines
