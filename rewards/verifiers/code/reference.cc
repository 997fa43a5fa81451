#include "rewards/verifiers/code/reference.h"

#include <algorithm>
#include <cctype>
#include <utility>

#include <nlohmann/json.hpp>

#include "rewards/text.h"

namespace aha::rewards::code {
namespace {

using Json = nlohmann::json;
constexpr std::size_t kMostBytes = std::size_t{64} << 20;

// Builds a Value; keeps integers that nlohmann's own tree would round, and stops early.
class Builder : public nlohmann::json_sax<Json> {
 public:
  bool null() override { return Add({}); }
  bool boolean(bool value) override {
    Value v;
    v.kind = Value::Kind::kBool;
    v.boolean = value;
    return Add(std::move(v));
  }
  bool number_integer(std::int64_t value) override { return AddInteger(MakeInteger(value)); }
  bool number_unsigned(std::uint64_t value) override {
    return AddInteger(*ParseInteger(std::to_string(value)));
  }
  bool number_float(double value, const std::string& text) override {
    if (text.find_first_of(".eE") == std::string::npos) {
      auto integer = ParseInteger(text);
      return integer ? AddInteger(*std::move(integer)) : Stop("a number of too many digits");
    }
    Value v;
    v.kind = Value::Kind::kReal;
    v.real = value;
    return Add(std::move(v));
  }
  bool string(std::string& value) override { return Add(Text(value)); }
  bool key(std::string& value) override { return Add(Text(value)); }
  bool binary(Json::binary_t&) override { return Stop("binary data"); }
  bool start_object(std::size_t) override { return Open(Value::Kind::kDict); }
  bool start_array(std::size_t) override { return Open(Value::Kind::kList); }
  bool end_object() override { return Close(); }
  bool end_array() override { return Close(); }
  bool parse_error(std::size_t at, const std::string&, const Json::exception&) override {
    return Stop(fmt::format("it is not JSON at byte {}", at));
  }

  Value root;
  std::string error;

 private:
  static Value Text(std::string& text) {
    Value v;
    v.kind = Value::Kind::kText;
    v.text = std::move(text);
    return v;
  }
  bool AddInteger(Integer integer) {
    Value v;
    v.kind = Value::Kind::kInteger;
    v.integer = std::move(integer);
    return Add(std::move(v));
  }
  bool Stop(std::string why) {
    if (error.empty()) error = std::move(why);
    return false;
  }
  bool Add(Value value) {
    if (++count_ > kMostValues) return Stop(fmt::format("more than {} values", kMostValues));
    if (open_.empty()) {
      root = std::move(value);
    } else {
      open_.back().items.push_back(std::move(value));
    }
    return true;
  }
  bool Open(Value::Kind kind) {
    if (open_.size() >= kDeepest) return Stop(fmt::format("nested more than {} deep", kDeepest));
    open_.emplace_back().kind = kind;
    return true;
  }
  bool Close() {
    Value value = std::move(open_.back());
    open_.pop_back();
    return Add(std::move(value));
  }

  std::vector<Value> open_;
  std::size_t count_ = 0;
};

Result<Value> ParseJson(std::string_view text) {
  if (text.size() > kMostBytes) return Fail(Code::kInvalidArgument, "more than 64 MiB");
  Builder builder;
  if (!Json::sax_parse(text.begin(), text.end(), &builder))
    return Fail(Code::kInvalidArgument, "{}",
                builder.error.empty() ? "it is not JSON" : builder.error);
  return std::move(builder.root);
}

// The value of a key; null when it is not there. Two of the same name are an error.
Result<Value*> Find(Value* dict, std::string_view key) {
  Value* found = nullptr;
  for (std::size_t i = 0; i + 1 < dict->items.size(); i += 2) {
    if (dict->items[i].text != key) continue;
    if (found != nullptr) return Fail(Code::kInvalidArgument, "\"{}\" is given twice", key);
    found = &dict->items[i + 1];
  }
  return found;
}

Result<Value*> Need(Value* dict, std::string_view key, Value::Kind kind, std::string_view name) {
  AHA_ASSIGN(Value* const value, Find(dict, key));
  if (value == nullptr) return Fail(Code::kInvalidArgument, "\"{}\" is missing", key);
  if (value->kind != kind) return Fail(Code::kInvalidArgument, "\"{}\" must be {}", key, name);
  return value;
}

Status ReadTests(Value* list, std::vector<OutputCase>* tests) {
  for (std::size_t i = 0; i < list->items.size(); ++i) {
    Value* const item = &list->items[i];
    if (item->kind != Value::Kind::kDict)
      return Fail(Code::kInvalidArgument, "tests[{}] must be an object", i);
    auto input = Need(item, "stdin", Value::Kind::kText, "a string");
    auto output = Need(item, "stdout", Value::Kind::kText, "a string");
    if (!input) return Within(std::move(input).error(), "tests[{}]", i);
    if (!output) return Within(std::move(output).error(), "tests[{}]", i);
    tests->push_back({std::move((*input)->text), std::move((*output)->text)});
  }
  return {};
}

Status ReadCalls(Value* list, std::vector<CallCase>* calls) {
  for (std::size_t i = 0; i < list->items.size(); ++i) {
    Value* const item = &list->items[i];
    if (item->kind != Value::Kind::kDict)
      return Fail(Code::kInvalidArgument, "calls[{}] must be an object", i);
    auto arguments = Need(item, "args", Value::Kind::kList, "an array");
    if (!arguments) return Within(std::move(arguments).error(), "calls[{}]", i);
    auto returns = Find(item, "returns");
    if (!returns) return Within(std::move(returns).error(), "calls[{}]", i);
    if (*returns == nullptr)
      return Fail(Code::kInvalidArgument, "calls[{}]: \"returns\" is missing", i);
    calls->push_back({std::move(**arguments), std::move(**returns)});
  }
  return {};
}

bool IsIdentifier(std::string_view name) {
  const auto letter = [](char c) {
    return c == '_' || std::isalpha(static_cast<unsigned char>(c)) != 0;
  };
  return !name.empty() && letter(name.front()) &&
         std::all_of(name.begin(), name.end(), [&](char c) {
           return letter(c) || std::isdigit(static_cast<unsigned char>(c)) != 0;
         });
}

Result<Language> ReadLanguage(Value* root, std::string_view fallback) {
  AHA_ASSIGN(const Value* const value, Find(root, "language"));
  if (value != nullptr && value->kind != Value::Kind::kText)
    return Fail(Code::kInvalidArgument, "\"language\" must be a string");
  const std::string_view name = value != nullptr ? std::string_view(value->text) : fallback;
  if (name == "python") return Language::kPython;
  if (name == "cpp") return Language::kCpp;
  if (name.empty()) return Fail(Code::kInvalidArgument, "\"language\" is missing");
  return Fail(Code::kInvalidArgument, "the language '{}' is not known; python and cpp are",
              ToValidUtf8(name.substr(0, 40)));
}

}  // namespace

Result<Reference> ParseReference(std::string_view json, std::string_view fallback) {
  if (json.find_first_not_of(" \t\r\n") == std::string_view::npos)
    return Fail(Code::kInvalidArgument,
                "there is none: give a JSON object with a language, and tests or calls");
  AHA_ASSIGN(Value root, ParseJson(json));
  if (root.kind != Value::Kind::kDict)
    return Fail(Code::kInvalidArgument, "it must be a JSON object");
  Reference reference;
  AHA_ASSIGN(reference.language, ReadLanguage(&root, fallback));
  for (std::size_t i = 0; i < root.items.size(); i += 2) {
    const std::string& key = root.items[i].text;
    if (key != "language" && key != "tests" && key != "function" && key != "calls")
      return Fail(Code::kInvalidArgument,
                  "unknown key \"{}\"; its keys are language, tests, function, calls",
                  ToValidUtf8(key.substr(0, 40)));
  }
  const auto list = [&](std::string_view key) -> Result<Value*> {
    AHA_ASSIGN(Value* const value, Find(&root, key));
    if (value != nullptr && value->kind != Value::Kind::kList && value->kind != Value::Kind::kNull)
      return Fail(Code::kInvalidArgument, "\"{}\" must be an array", key);
    return value;
  };
  AHA_ASSIGN(Value* const tests, list("tests"));
  AHA_ASSIGN(Value* const calls, list("calls"));
  if (tests != nullptr) AHA_TRY(ReadTests(tests, &reference.tests));
  if (calls != nullptr) AHA_TRY(ReadCalls(calls, &reference.calls));
  if (!reference.calls.empty()) {
    AHA_ASSIGN(Value* const function, Need(&root, "function", Value::Kind::kText, "a string"));
    if (!IsIdentifier(function->text))
      return Fail(Code::kInvalidArgument, "\"function\" must be a name");
    reference.function = std::move(function->text);
  }
  if (reference.tests.empty() && reference.calls.empty())
    return Fail(Code::kInvalidArgument, "it has no test case: give \"tests\" or \"calls\"");
  return reference;
}

}  // namespace aha::rewards::code
