#include "pipelines/recipes/schema.h"

#include <cmath>
#include <cstdlib>

#include <fmt/format.h>
#include <google/protobuf/text_format.h>

#include "pipelines/recipes/places.h"

namespace aha::pipelines {
namespace {

namespace pb = google::protobuf;

void Collect(const MessageType& type, const std::string& prefix, std::vector<KeyPath>& out) {
  for (int i = 0; i < type.field_count(); ++i) {
    const Field* key = type.field(i);
    const std::string path = JoinPath(prefix, key->name());
    out.push_back({path, key});
    if (IsMessage(*key)) Collect(*key->message_type(), path, out);
  }
}

std::optional<Condition::Op> ParseOp(std::string_view text) {
  if (text == "==") return Condition::Op::kEqual;
  if (text == "!=") return Condition::Op::kNotEqual;
  if (text == ">") return Condition::Op::kAbove;
  if (text == "<") return Condition::Op::kBelow;
  return std::nullopt;
}

bool Holds(const pb::Message& message, const Condition& condition) {
  if (IsNumber(*condition.key)) {
    const double have = NumberOf(message, *condition.key);
    const double want = std::strtod(condition.value.c_str(), nullptr);
    switch (condition.op) {
      case Condition::Op::kEqual:
        return have == want;
      case Condition::Op::kNotEqual:
        return have != want;
      case Condition::Op::kAbove:
        return have > want;
      case Condition::Op::kBelow:
        return have < want;
    }
  }
  const bool text = condition.key->cpp_type() == Field::CPPTYPE_STRING;
  const std::string have = text ? message.GetReflection()->GetString(message, condition.key)
                                : ValueText(message, *condition.key);
  return (have == condition.value) == (condition.op == Condition::Op::kEqual);
}

}  // namespace

const proto::KeyOptions& OptionsOf(const Field& key) {
  return key.options().GetExtension(proto::key);
}

bool IsMessage(const Field& key) {
  return key.cpp_type() == Field::CPPTYPE_MESSAGE;
}

bool IsNumber(const Field& key) {
  return key.cpp_type() == Field::CPPTYPE_DOUBLE || key.cpp_type() == Field::CPPTYPE_UINT32 ||
         key.cpp_type() == Field::CPPTYPE_UINT64;
}

std::string TypeName(const Field& key) {
  switch (key.cpp_type()) {
    case Field::CPPTYPE_UINT32:
    case Field::CPPTYPE_UINT64:
      return "whole number";
    case Field::CPPTYPE_DOUBLE:
      return "number";
    case Field::CPPTYPE_BOOL:
      return "true or false";
    case Field::CPPTYPE_MESSAGE:
      return key.message_type()->name();
    default:
      return "text";
  }
}

std::vector<std::string> KeyNames(const MessageType& type) {
  std::vector<std::string> names;
  for (int i = 0; i < type.field_count(); ++i)
    names.push_back(type.field(i)->name());
  return names;
}

std::string ValueText(const pb::Message& message, const Field& key, int index) {
  std::string text;
  pb::TextFormat::PrintFieldValueToString(message, &key, index, &text);
  return text;
}

double NumberOf(const pb::Message& message, const Field& key, int index) {
  const pb::Reflection& reflection = *message.GetReflection();
  switch (key.cpp_type()) {
    case Field::CPPTYPE_UINT32:
      return index < 0 ? reflection.GetUInt32(message, &key)
                       : reflection.GetRepeatedUInt32(message, &key, index);
    case Field::CPPTYPE_UINT64:
      return static_cast<double>(index < 0 ? reflection.GetUInt64(message, &key)
                                           : reflection.GetRepeatedUInt64(message, &key, index));
    case Field::CPPTYPE_DOUBLE:
      return index < 0 ? reflection.GetDouble(message, &key)
                       : reflection.GetRepeatedDouble(message, &key, index);
    default:
      return std::nan("");
  }
}

namespace {

Condition ParseCondition(const Field& key, const std::string& text) {
  const std::size_t first = text.find(' ');
  const std::size_t second = first == std::string::npos ? first : text.find(' ', first + 1);
  if (second == std::string::npos)
    GOOGLE_LOG(FATAL) << key.full_name() << ": bad read_when " << text;
  Condition condition;
  condition.key = key.containing_type()->FindFieldByName(text.substr(0, first));
  const auto op = ParseOp(text.substr(first + 1, second - first - 1));
  if (condition.key == nullptr || !op) {
    GOOGLE_LOG(FATAL) << key.full_name() << ": bad read_when " << text;
  }
  condition.op = *op;
  condition.value = text.substr(second + 1);
  if (condition.value.size() >= 2 && condition.value.front() == '"') {
    condition.value = condition.value.substr(1, condition.value.size() - 2);
  }
  return condition;
}

}  // namespace

std::vector<Condition> ConditionsOf(const Field& key) {
  constexpr std::string_view kAnd = " and ";
  std::vector<Condition> conditions;
  std::string rest = OptionsOf(key).read_when();
  while (!rest.empty()) {
    const std::size_t end = rest.find(kAnd);
    conditions.push_back(ParseCondition(key, rest.substr(0, end)));
    rest = end == std::string::npos ? "" : rest.substr(end + kAnd.size());
  }
  return conditions;
}

std::optional<Condition> Unmet(const pb::Message& message, const Field& key) {
  for (const Condition& condition : ConditionsOf(key)) {
    if (!Holds(message, condition)) return condition;
  }
  return std::nullopt;
}

bool IsRead(const pb::Message& message, const Field& key) {
  return !Unmet(message, key);
}

std::string HowToMeet(const Condition& condition) {
  const std::string& name = condition.key->name();
  const bool text = condition.key->cpp_type() == Field::CPPTYPE_STRING;
  const std::string value = text ? fmt::format("\"{}\"", condition.value) : condition.value;
  switch (condition.op) {
    case Condition::Op::kEqual:
      return fmt::format("set {}: {}", name, value);
    case Condition::Op::kNotEqual:
      return fmt::format("set {} to something other than {}", name, value);
    case Condition::Op::kAbove:
      return fmt::format("set {} above {}", name, value);
    case Condition::Op::kBelow:
      return fmt::format("set {} below {}", name, value);
  }
  return {};
}

bool AbsentMeansDefaults(const MessageType& type) {
  for (int i = 0; i < type.field_count(); ++i) {
    if (OptionsOf(*type.field(i)).required()) return false;
  }
  return true;
}

std::vector<KeyPath> AllKeyPaths() {
  std::vector<KeyPath> paths;
  Collect(*proto::Recipe::descriptor(), "", paths);
  return paths;
}

}  // namespace aha::pipelines
