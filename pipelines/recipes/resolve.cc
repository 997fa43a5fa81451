#include "pipelines/recipes/resolve.h"

#include <vector>

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/text_format.h>

#include "base/content_hash.h"
#include "pipelines/recipes/nearest.h"
#include "pipelines/recipes/presets.h"
#include "pipelines/recipes/schema.h"
#include "pipelines/recipes/validate.h"

namespace aha::pipelines {
namespace {

namespace pb = google::protobuf;

void SetDefault(pb::Message& message, const Field& key) {
  const pb::Reflection& reflection = *message.GetReflection();
  switch (key.cpp_type()) {
    case Field::CPPTYPE_UINT32:
      return reflection.SetUInt32(&message, &key, key.default_value_uint32());
    case Field::CPPTYPE_UINT64:
      return reflection.SetUInt64(&message, &key, key.default_value_uint64());
    case Field::CPPTYPE_DOUBLE:
      return reflection.SetDouble(&message, &key, key.default_value_double());
    case Field::CPPTYPE_BOOL:
      return reflection.SetBool(&message, &key, key.default_value_bool());
    case Field::CPPTYPE_STRING:
      return reflection.SetString(&message, &key, key.default_value_string());
    default:
      return;
  }
}

void FillDefaults(pb::Message& message) {
  const MessageType& type = *message.GetDescriptor();
  const pb::Reflection& reflection = *message.GetReflection();
  FillPreset(message);
  for (int i = 0; i < type.field_count(); ++i) {
    const Field& key = *type.field(i);
    if (key.is_repeated()) {
      const int count = IsMessage(key) ? reflection.FieldSize(message, &key) : 0;
      for (int j = 0; j < count; ++j)
        FillDefaults(*reflection.MutableRepeatedMessage(&message, &key, j));
    } else if (IsMessage(key)) {
      const bool wanted =
          key.containing_oneof() == nullptr && AbsentMeansDefaults(*key.message_type());
      if (wanted || reflection.HasField(message, &key))
        FillDefaults(*reflection.MutableMessage(&message, &key));
    } else if (!reflection.HasField(message, &key) && key.has_default_value() &&
               IsRead(message, key)) {
      SetDefault(message, key);
    }
  }
}

}  // namespace

proto::Recipe Resolved(const proto::Recipe& recipe) {
  proto::Recipe resolved = recipe;
  FillDefaults(resolved);
  if (!recipe.has_model() && !ReadsModel(recipe)) resolved.clear_model();
  for (int i = 0; i < recipe.stage_size(); ++i) {
    if (recipe.stage(i).has_pretrain() && !recipe.stage(i).has_init())
      resolved.mutable_stage(i)->clear_init();
  }
  return resolved;
}

std::string ResolvedText(const proto::Recipe& recipe) {
  std::string text;
  pb::TextFormat::PrintToString(Resolved(recipe), &text);
  return text;
}

namespace {

// What decides when and how patiently a stage works, and changes nothing of what it makes.
void ClearKeysWithoutEffect(proto::Stage& stage) {
  if (stage.has_pretrain()) stage.mutable_pretrain()->clear_commit_every();
  if (stage.has_sft()) stage.mutable_sft()->clear_commit_every();
  if (stage.has_rl()) {
    stage.mutable_rl()->clear_commit_every();
    stage.mutable_rl()->clear_reward_timeout_s();
    stage.mutable_rl()->clear_rollout_timeout_s();
    // A warning makes nothing; but a step left out for a NaN does.
    const std::string not_finite = stage.rl().alarms().not_finite();
    stage.mutable_rl()->clear_alarms();
    stage.mutable_rl()->mutable_alarms()->set_not_finite(not_finite);
  }
  if (stage.has_reject()) {
    stage.mutable_reject()->clear_reward_timeout_s();
    stage.mutable_reject()->clear_rollout_timeout_s();
  }
}

}  // namespace

Result<std::string> StageHash(const proto::Recipe& recipe, std::string_view stage) {
  const proto::Recipe resolved = Resolved(recipe);
  std::vector<std::string> names;
  for (proto::Stage candidate : resolved.stage()) {
    names.push_back(candidate.name());
    if (candidate.name() != stage) continue;
    ClearKeysWithoutEffect(candidate);
    // Without maps and unknown fields the wire form has one spelling: keys by number, as set.
    std::string bytes;
    {
      pb::io::StringOutputStream stream(&bytes);
      pb::io::CodedOutputStream coded(&stream);
      coded.SetSerializationDeterministic(true);
      candidate.SerializeToCodedStream(&coded);
    }
    return ContentHash()
        .AddField("aha stage 1")
        .AddField(bytes)
        .AddField(fmt::format("{}", resolved.seed()))
        .Hex();
  }
  return Fail(Code::kNotFound, "no stage is named `{}`; {}", stage, Suggestion(stage, names));
}

}  // namespace aha::pipelines
