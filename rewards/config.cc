#include "rewards/config.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <stdexcept>

#include <fmt/ranges.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>
#include <google/protobuf/dynamic_message.h>
#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/text_format.h>

#include "rewards/text.h"

namespace aha::rewards {
namespace {

namespace pb = google::protobuf;

pb::FieldDescriptorProto::Type FieldType(const ConfigValue& value) {
  switch (value.index()) {
    case 0:
      return pb::FieldDescriptorProto::TYPE_BOOL;
    case 1:
      return pb::FieldDescriptorProto::TYPE_INT64;
    case 2:
      return pb::FieldDescriptorProto::TYPE_DOUBLE;
    default:
      return pb::FieldDescriptorProto::TYPE_STRING;
  }
}

// Keeps the first thing the text parser complains about.
class FirstError : public pb::io::ErrorCollector {
 public:
  void AddError(int line, int column, const std::string& message) override {
    if (text_.empty()) text_ = fmt::format("{}:{}: {}", line + 1, column + 1, message);
  }
  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  std::string text_;
};

// Our own message says what is wrong with keys; protobuf's would go to the log.
class Quiet : public pb::DescriptorPool::ErrorCollector {
 public:
  void AddError(const std::string&,
                const std::string&,
                const pb::Message*,
                ErrorLocation,
                const std::string&) override {}
};

// The parser says: Message type "Config" has no field named "x".
std::string UnknownField(const std::string& message) {
  constexpr std::string_view kPhrase = "has no field named \"";
  const auto at = message.find(kPhrase);
  if (at == std::string::npos) return {};
  const auto start = at + kPhrase.size();
  return message.substr(start, message.find('"', start) - start);
}

tl::unexpected<Error> Refuse(std::string_view owner,
                             std::span<const ConfigKey> keys,
                             const std::string& message) {
  const std::string unknown = UnknownField(message);
  if (unknown.empty()) return Fail(Code::kInvalidArgument, "{}: config {}", owner, message);
  const std::string where = message.substr(0, message.find(": "));
  if (keys.empty()) {
    return Fail(Code::kInvalidArgument, "{}: config {}: unknown key '{}'; it has no keys", owner,
                where, unknown);
  }
  std::vector<std::string> names;
  for (const auto& key : keys)
    names.push_back(key.name);
  const auto nearest = NearestNames(unknown, names, 1);
  return Fail(Code::kInvalidArgument, "{}: config {}: unknown key '{}'; {} {}", owner, where,
              unknown, nearest.empty() ? "its keys are" : "did you mean",
              fmt::join(nearest.empty() ? names : nearest, ", "));
}

Status CheckRange(std::string_view owner, const ConfigKey& key, double value) {
  if (!std::isfinite(value)) {
    return Fail(Code::kInvalidArgument, "{}: config key '{}' must be a finite number", owner,
                key.name);
  }
  if ((key.min && value < *key.min) || (key.max && value > *key.max)) {
    return Fail(Code::kInvalidArgument, "{}: config key '{}' is {}, but must be {}{}{}", owner,
                key.name, value, key.min ? fmt::format("at least {}", *key.min) : "",
                key.min && key.max ? " and " : "",
                key.max ? fmt::format("at most {}", *key.max) : "");
  }
  return {};
}

// A pool with one message, Config, whose fields are the keys.
Result<const pb::Descriptor*> Describe(std::string_view owner,
                                       std::span<const ConfigKey> keys,
                                       pb::DescriptorPool* pool) {
  pb::FileDescriptorProto file;
  file.set_name("config.proto");
  file.set_syntax("proto2");
  auto* message = file.add_message_type();
  message->set_name("Config");
  int number = 1;
  for (const auto& key : keys) {
    auto* field = message->add_field();
    field->set_name(key.name);
    field->set_number(number++);
    if (number == 19000) number = 20000;  // reserved by protobuf
    field->set_label(pb::FieldDescriptorProto::LABEL_OPTIONAL);
    field->set_type(FieldType(key.default_value));
  }
  Quiet quiet;
  const auto* built = pool->BuildFileCollectingErrors(file, &quiet);
  if (built == nullptr) {
    return Fail(
        Code::kInvalidArgument,
        "{}: its config keys cannot be used: names must be letters, digits and _, each once",
        owner);
  }
  return built->message_type(0);
}

Result<ConfigValue> Read(std::string_view owner,
                         const ConfigKey& key,
                         const pb::Message& message,
                         const pb::FieldDescriptor* field) {
  const auto* reflection = message.GetReflection();
  if (!reflection->HasField(message, field)) return key.default_value;
  switch (key.default_value.index()) {
    case 0:
      return ConfigValue(reflection->GetBool(message, field));
    case 1: {
      const std::int64_t value = reflection->GetInt64(message, field);
      AHA_TRY(CheckRange(owner, key, static_cast<double>(value)));
      return ConfigValue(value);
    }
    case 2: {
      const double value = reflection->GetDouble(message, field);
      AHA_TRY(CheckRange(owner, key, value));
      return ConfigValue(value);
    }
    default:
      return ConfigValue(reflection->GetString(message, field));
  }
}

std::size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j)
    row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t above = row[j];
      row[j] = std::min({above + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1)});
      diagonal = above;
    }
  }
  return row[b.size()];
}

}  // namespace

const ConfigValue& Config::Value(std::string_view key) const {
  const auto found = values_.find(key);
  if (found == values_.end())
    throw std::logic_error("config key not declared: " + std::string(key));
  return found->second;
}

Result<Config> ParseConfig(std::string_view owner,
                           std::span<const ConfigKey> keys,
                           std::string_view text) {
  if (!IsValidUtf8(text) || text.find('\0') != std::string_view::npos) {
    return Fail(Code::kInvalidArgument, "{}: config is not UTF-8 text", owner);
  }
  pb::DescriptorPool pool;
  AHA_ASSIGN(const pb::Descriptor* descriptor, Describe(owner, keys, &pool));
  pb::DynamicMessageFactory factory(&pool);
  const std::unique_ptr<pb::Message> message(factory.GetPrototype(descriptor)->New());
  FirstError first;
  pb::TextFormat::Parser parser;
  parser.RecordErrorsTo(&first);
  if (!parser.ParseFromString(std::string(text), message.get())) {
    return Refuse(owner, keys, first.text().empty() ? "cannot be read" : first.text());
  }
  Config config;
  for (const auto& key : keys) {
    AHA_ASSIGN(auto value, Read(owner, key, *message, descriptor->FindFieldByName(key.name)));
    config.values_.emplace(key.name, std::move(value));
  }
  return config;
}

std::vector<std::string> NearestNames(std::string_view name,
                                      std::span<const std::string> known,
                                      std::size_t most) {
  name = name.substr(0, 256);
  std::vector<std::pair<std::size_t, std::string>> ranked;
  for (const auto& candidate : known) {
    const std::size_t distance = EditDistance(name, std::string_view(candidate).substr(0, 256));
    const bool inside = !name.empty() && (candidate.find(name) != std::string::npos ||
                                          name.find(candidate) != std::string_view::npos);
    if (inside || distance <= std::max<std::size_t>(2, name.size() / 3)) {
      ranked.emplace_back(distance, candidate);
    }
  }
  std::sort(ranked.begin(), ranked.end());
  std::vector<std::string> out;
  for (const auto& [distance, candidate] : ranked) {
    if (out.size() < most) out.push_back(candidate);
  }
  return out;
}

std::string_view TypeName(const ConfigValue& value) {
  constexpr std::string_view kNames[] = {"bool", "integer", "number", "text"};
  return kNames[value.index()];
}

std::string ValueText(const ConfigValue& value) {
  if (const auto* text = std::get_if<std::string>(&value)) {
    return pb::TextFormat::FieldValuePrinter().PrintString(*text);
  }
  if (const auto* flag = std::get_if<bool>(&value)) return *flag ? "true" : "false";
  if (const auto* integer = std::get_if<std::int64_t>(&value)) return std::to_string(*integer);
  return fmt::format("{}", std::get<double>(value));
}

}  // namespace aha::rewards
