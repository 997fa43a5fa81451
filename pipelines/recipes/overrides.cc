#include "pipelines/recipes/overrides.h"

#include <charconv>
#include <cmath>
#include <limits>
#include <optional>
#include <vector>

#include "pipelines/recipes/nearest.h"
#include "pipelines/recipes/schema.h"

namespace aha::pipelines {
namespace {

namespace pb = google::protobuf;

struct Step {
  std::string name;
  int index = -1;
};

std::vector<std::string> Split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  while (true) {
    const std::size_t cut = text.find(separator);
    parts.emplace_back(text.substr(0, cut));
    if (cut == std::string_view::npos) return parts;
    text.remove_prefix(cut + 1);
  }
}

template <class Number>
std::optional<Number> ParseNumber(const std::string& text) {
  Number number{};
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc() || stop != end || text.empty()) return std::nullopt;
  return number;
}

Result<Step> ParseStep(const std::string& text) {
  const std::size_t open = text.find('[');
  if (open == std::string::npos && !text.empty()) return Step{text, -1};
  if (open == std::string::npos || open == 0)
    return Fail(Code::kInvalidArgument, "the key has an empty part");
  const auto index = text.back() == ']'
                         ? ParseNumber<unsigned>(text.substr(open + 1, text.size() - open - 2))
                         : std::nullopt;
  if (!index || *index > 1'000'000) {
    return Fail(Code::kInvalidArgument, "`{}`: an index is written as in reward[1]", text);
  }
  return Step{text.substr(0, open), static_cast<int>(*index)};
}

Result<std::vector<Step>> ParseKey(const std::string& text) {
  std::vector<Step> steps;
  for (const std::string& part : Split(text, '.')) {
    AHA_ASSIGN(Step step, ParseStep(part));
    steps.push_back(std::move(step));
  }
  return steps;
}

Result<bool> ParseBool(const std::string& text) {
  if (text == "true" || text == "1") return true;
  if (text == "false" || text == "0") return false;
  return Fail(Code::kInvalidArgument, "`{}` is not true or false", text);
}

// Sets a single key, adds to a repeated one, or replaces element `index` of it.
template <class Value, class Set, class SetAt, class Add>
void Put(const Field& key, int index, Value value, Set set, SetAt set_at, Add add) {
  if (!key.is_repeated()) {
    set(value);
  } else if (index >= 0) {
    set_at(value);
  } else {
    add(value);
  }
}

Status PutScalar(pb::Message& message, const Field& key, int index, const std::string& text) {
  const pb::Reflection& r = *message.GetReflection();
  const auto whole = ParseNumber<std::uint64_t>(text);
  switch (key.cpp_type()) {
    case Field::CPPTYPE_UINT32: {
      if (!whole || *whole > std::numeric_limits<std::uint32_t>::max()) break;
      Put(
          key, index, static_cast<std::uint32_t>(*whole),
          [&](auto v) { r.SetUInt32(&message, &key, v); },
          [&](auto v) { r.SetRepeatedUInt32(&message, &key, index, v); },
          [&](auto v) { r.AddUInt32(&message, &key, v); });
      return {};
    }
    case Field::CPPTYPE_UINT64: {
      if (!whole) break;
      Put(
          key, index, *whole, [&](auto v) { r.SetUInt64(&message, &key, v); },
          [&](auto v) { r.SetRepeatedUInt64(&message, &key, index, v); },
          [&](auto v) { r.AddUInt64(&message, &key, v); });
      return {};
    }
    case Field::CPPTYPE_DOUBLE: {
      const auto number = ParseNumber<double>(text);
      if (!number || !std::isfinite(*number)) break;
      Put(
          key, index, *number, [&](auto v) { r.SetDouble(&message, &key, v); },
          [&](auto v) { r.SetRepeatedDouble(&message, &key, index, v); },
          [&](auto v) { r.AddDouble(&message, &key, v); });
      return {};
    }
    case Field::CPPTYPE_BOOL: {
      AHA_ASSIGN(const bool flag, ParseBool(text));
      Put(
          key, index, flag, [&](auto v) { r.SetBool(&message, &key, v); },
          [&](auto v) { r.SetRepeatedBool(&message, &key, index, v); },
          [&](auto v) { r.AddBool(&message, &key, v); });
      return {};
    }
    default:
      Put(
          key, index, text, [&](const auto& v) { r.SetString(&message, &key, v); },
          [&](const auto& v) { r.SetRepeatedString(&message, &key, index, v); },
          [&](const auto& v) { r.AddString(&message, &key, v); });
      return {};
  }
  return Fail(Code::kInvalidArgument, "`{}` is not a {}", text, TypeName(key));
}

// Walks from a message down to one key and sets it, noting the override as the place of all it
// made.
class Setter {
 public:
  Setter(std::string place, Places& places) : place_(std::move(place)), places_(places) {}

  // `path` is where `message` stands, `shown` how the user names it.
  Status Set(pb::Message& message,
             std::span<const Step> steps,
             const std::string& path,
             const std::string& shown,
             const std::string& value) {
    const Step& step = steps.front();
    const Field* key = message.GetDescriptor()->FindFieldByName(step.name);
    if (key == nullptr) {
      return Fail(Code::kInvalidArgument, "unknown key `{}` in {}; {}", step.name, shown,
                  Suggestion(step.name, KeyNames(*message.GetDescriptor())));
    }
    AHA_TRY(CheckIndex(message, *key, step));
    const std::string here = JoinPath(path, step.name, step.index);
    if (steps.size() > 1) return Descend(message, *key, steps, here, value);
    if (step.index < 0 && key->is_repeated()) return ReplaceList(message, *key, here, value);
    if (IsMessage(*key)) {
      return Fail(Code::kInvalidArgument, "`{}` holds keys, not a value; {}", step.name,
                  Suggestion("", KeyNames(*key->message_type())));
    }
    AHA_TRY(PutScalar(message, *key, step.index, value));
    places_.Set(here, place_);
    return {};
  }

 private:
  Status CheckIndex(const pb::Message& message, const Field& key, const Step& step) {
    if (step.index < 0) return {};
    if (!key.is_repeated())
      return Fail(Code::kInvalidArgument, "`{}` is not a list: drop the index", step.name);
    const int count = message.GetReflection()->FieldSize(message, &key);
    if (step.index < count) return {};
    return Fail(Code::kInvalidArgument, "`{}[{}]` does not exist: there are {}, counted from 0",
                step.name, step.index, count);
  }

  Status Descend(pb::Message& message,
                 const Field& key,
                 std::span<const Step> steps,
                 const std::string& here,
                 const std::string& value) {
    const Step& step = steps.front();
    if (!IsMessage(key)) {
      return Fail(Code::kInvalidArgument, "`{}` is a {} and has no key `{}`", step.name,
                  TypeName(key), steps[1].name);
    }
    const pb::Reflection& reflection = *message.GetReflection();
    if (key.is_repeated()) {
      if (step.index < 0) {
        return Fail(Code::kInvalidArgument, "`{}` is a list: name one, as in {}[0].{}", step.name,
                    step.name, steps[1].name);
      }
      return Set(*reflection.MutableRepeatedMessage(&message, &key, step.index), steps.subspan(1),
                 here, step.name, value);
    }
    if (!reflection.HasField(message, &key)) places_.Set(here, place_);
    return Set(*reflection.MutableMessage(&message, &key), steps.subspan(1), here, step.name,
               value);
  }

  Status ReplaceList(pb::Message& message,
                     const Field& key,
                     const std::string& here,
                     const std::string& value) {
    if (IsMessage(key) && !value.empty()) {
      return Fail(Code::kInvalidArgument,
                  "`{}` is a list of groups of keys: name one, as in {}[0].{}", key.name(),
                  key.name(), key.message_type()->field(0)->name());
    }
    message.GetReflection()->ClearField(&message, &key);
    places_.Set(here, place_);
    if (value.empty()) return {};
    int index = 0;
    for (const std::string& part : Split(value, ',')) {
      AHA_TRY(PutScalar(message, key, -1, part));
      places_.Set(here + fmt::format("[{}]", index++), place_);
    }
    return {};
  }

  std::string place_;
  Places& places_;
};

Status SetInStage(Setter& setter,
                  proto::Recipe& recipe,
                  std::span<const Step> steps,
                  const std::string& value) {
  const std::string& name = steps.front().name;
  std::vector<std::string> names;
  for (int i = 0; i < recipe.stage_size(); ++i) {
    proto::Stage& stage = *recipe.mutable_stage(i);
    names.push_back(stage.name());
    if (stage.name() != name || steps.front().index >= 0) continue;
    const std::string path = JoinPath("", "stage", i);
    if (steps[1].name == "init" && steps.size() == 2)
      return setter.Set(stage, steps.subspan(1), path, name, value);
    const Field* kind = stage.GetReflection()->GetOneofFieldDescriptor(
        stage, stage.GetDescriptor()->FindOneofByName("kind"));
    if (kind == nullptr)
      return Fail(Code::kInvalidArgument, "stage {} has no kind to set keys of", name);
    pb::Message& inner = *stage.GetReflection()->MutableMessage(&stage, kind);
    return setter.Set(inner, steps.subspan(1), JoinPath(path, kind->name()),
                      fmt::format("stage {} ({})", name, kind->name()), value);
  }
  return Fail(Code::kInvalidArgument, "no stage is named `{}`; {}", name, Suggestion(name, names));
}

Status Apply(const std::string& text, proto::Recipe& recipe, Places& places) {
  const std::size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0) {
    return Fail(Code::kInvalidArgument,
                "write it as KEY=VALUE, for example zero.steps=40 or seed=3");
  }
  AHA_ASSIGN(const std::vector<Step> steps, ParseKey(text.substr(0, equals)));
  const std::string value = text.substr(equals + 1);
  Setter setter("--set " + text, places);
  if (steps.size() > 1) return SetInStage(setter, recipe, steps, value);
  return setter.Set(recipe, steps, "", "the recipe (a stage's keys are written STAGE.KEY)", value);
}

}  // namespace

Status ApplyOverride(const std::string& override_text, proto::Recipe& recipe, Places& places) {
  Status done = Apply(override_text, recipe, places);
  if (!done) return Within(std::move(done).error(), "--set {}", override_text);
  return {};
}

}  // namespace aha::pipelines
