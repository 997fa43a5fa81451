#include "pipelines/recipes/validate.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include <fmt/ranges.h>

#include "pipelines/recipes/nearest.h"
#include "pipelines/recipes/presets.h"
#include "pipelines/recipes/schema.h"

namespace aha::pipelines {
namespace {

namespace pb = google::protobuf;

std::string RangeText(const proto::KeyOptions& options) {
  if (options.has_min() && options.has_max()) {
    return fmt::format("must be from {} to {}", options.min(), options.max());
  }
  return options.has_min() ? fmt::format("must be at least {}", options.min())
                           : fmt::format("must be at most {}", options.max());
}

void CheckNumber(const pb::Message& message,
                 const Field& key,
                 int index,
                 const std::string& path,
                 Problems& problems) {
  const proto::KeyOptions& options = OptionsOf(key);
  const double number = NumberOf(message, key, index);
  if (!std::isfinite(number)) {
    problems.Add(path, "`{}` is {}, which is not a number to compute with", key.name(), number);
  } else if ((options.has_min() && number < options.min()) ||
             (options.has_max() && number > options.max())) {
    problems.Add(path, "`{}` is {}; it {}", key.name(), ValueText(message, key, index),
                 RangeText(options));
  }
}

void CheckText(const pb::Message& message,
               const Field& key,
               int index,
               const std::string& path,
               Problems& problems) {
  const proto::KeyOptions& options = OptionsOf(key);
  const pb::Reflection& reflection = *message.GetReflection();
  const std::string text = index < 0 ? reflection.GetString(message, &key)
                                     : reflection.GetRepeatedString(message, &key, index);
  if (options.required() && text.empty()) {
    problems.Add(path, "`{}` is empty; it must name something", key.name());
  }
  const auto& allowed = options.one_of();
  if (allowed.empty() || std::find(allowed.begin(), allowed.end(), text) != allowed.end()) return;
  const std::vector<std::string> names(allowed.begin(), allowed.end());
  const auto near = Nearest(text, names);
  problems.Add(path, "`{}` is \"{}\"; it must be one of \"{}\"{}", key.name(), text,
               fmt::join(names, "\", \""),
               near ? fmt::format("; did you mean \"{}\"?", *near) : "");
}

void CheckRead(const pb::Message& message,
               const Field& key,
               const std::string& path,
               Problems& problems) {
  const auto condition = Unmet(message, key);
  if (!condition) return;
  problems.Add(path, "`{}` is set but never read because {} is {}; remove it or {}", key.name(),
               condition->key->name(), ValueText(message, *condition->key), HowToMeet(*condition));
}

void CheckMessage(const pb::Message& message, const std::string& path, Problems& problems);

void CheckKey(const pb::Message& message,
              const Field& key,
              const std::string& path,
              Problems& problems) {
  const pb::Reflection& reflection = *message.GetReflection();
  const int count = key.is_repeated() ? reflection.FieldSize(message, &key) : 1;
  for (int i = 0; i < count; ++i) {
    const int index = key.is_repeated() ? i : -1;
    const std::string here = JoinPath(path, key.name(), index);
    if (IsMessage(key)) {
      CheckMessage(index < 0 ? reflection.GetMessage(message, &key)
                             : reflection.GetRepeatedMessage(message, &key, index),
                   here, problems);
    } else if (IsNumber(key)) {
      CheckNumber(message, key, index, here, problems);
    } else if (key.cpp_type() == Field::CPPTYPE_STRING) {
      CheckText(message, key, index, here, problems);
    }
  }
}

void CheckMessage(const pb::Message& message, const std::string& path, Problems& problems) {
  const MessageType& type = *message.GetDescriptor();
  const pb::Reflection& reflection = *message.GetReflection();
  const auto effective = WithPreset(message);
  for (int i = 0; i < type.field_count(); ++i) {
    const Field& key = *type.field(i);
    const bool set = key.is_repeated() ? reflection.FieldSize(message, &key) > 0
                                       : reflection.HasField(message, &key);
    if (set) {
      CheckRead(*effective, key, JoinPath(path, key.name(), key.is_repeated() ? 0 : -1), problems);
      CheckKey(message, key, path, problems);
    } else if (OptionsOf(key).required()) {
      problems.Add(path, "`{}` is missing in {}; it has no default", key.name(), type.name());
    }
  }
}

}  // namespace

void CheckKeys(const proto::Recipe& recipe, Problems& problems) {
  CheckMessage(recipe, "", problems);
}

}  // namespace aha::pipelines
