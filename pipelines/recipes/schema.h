#pragma once
/// What recipe.proto says of its keys, read from the descriptors: options, defaults, conditions.

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

#include "proto/recipe.pb.h"

namespace aha::pipelines {

using Field = google::protobuf::FieldDescriptor;
using MessageType = google::protobuf::Descriptor;

/// The (aha.proto.key) options of a key; empty options when it has none.
const proto::KeyOptions& OptionsOf(const Field& key);

bool IsMessage(const Field& key);
bool IsNumber(const Field& key);

/// "whole number", "number", "text", "true or false", or the message's name.
std::string TypeName(const Field& key);

/// The names of a message's keys, in the order of the schema.
std::vector<std::string> KeyNames(const MessageType& type);

/// A key's value as a recipe would write it; its default when unset. `index` is for repeated keys.
std::string ValueText(const google::protobuf::Message& message, const Field& key, int index = -1);

/// A number key's value (its default when unset) as a double.
double NumberOf(const google::protobuf::Message& message, const Field& key, int index = -1);

/// A key's read_when option, taken apart.
struct Condition {
  enum class Op { kEqual, kNotEqual, kAbove, kBelow };
  const Field* key = nullptr;  ///< the sibling that decides
  Op op = Op::kEqual;
  std::string value;  ///< unquoted
};

/// The conditions under which `key` is read, all of them; none: always. Aborts on one that does not
/// parse or names no sibling: a mistake in the schema, which a test looks for.
std::vector<Condition> ConditionsOf(const Field& key);

/// The first condition that does not hold; nothing: the key is read.
std::optional<Condition> Unmet(const google::protobuf::Message& message, const Field& key);

/// Whether `key` is read, given its siblings' values (defaults where unset).
bool IsRead(const google::protobuf::Message& message, const Field& key);

/// How to make a condition true: "set schedule: \"cosine\"", "set kl above 0".
std::string HowToMeet(const Condition& condition);

/// Whether an absent message means its defaults; one with a required key is truly absent instead.
bool AbsentMeansDefaults(const MessageType& type);

/// A key and one place in a recipe where it can stand: "stage.rl.optimizer.learning_rate".
struct KeyPath {
  std::string path;
  const Field* key = nullptr;
};

/// Every key of a recipe at every place, depth first in the order of the schema.
std::vector<KeyPath> AllKeyPaths();

}  // namespace aha::pipelines
