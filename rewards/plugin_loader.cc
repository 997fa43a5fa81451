#include "rewards/plugin_loader.h"

#include <dlfcn.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "base/content_hash.h"
#include "rewards/plugin_abi.h"
#include "rewards/text.h"

namespace aha::rewards {
namespace {

constexpr std::size_t kMostKeys = 1000;

std::string Copy(aha_view view) {
  return view.size == 0 || view.data == nullptr ? std::string() : std::string(view.data, view.size);
}

aha_view View(std::string_view text) {
  return {text.data(), text.size()};
}

// Up to the NUL that the plug-in should have written.
template <std::size_t N>
std::string_view UpToNul(const char (&text)[N]) {
  return {text, static_cast<std::size_t>(std::find(text, text + N, '\0') - text)};
}

Status ReadDefault(const std::string& file, const aha_reward_key& key, ConfigValue* value) {
  switch (key.type) {
    case AHA_REWARD_BOOL:
      value->emplace<bool>(key.default_value.integer != 0);
      return {};
    case AHA_REWARD_INTEGER:
      value->emplace<std::int64_t>(key.default_value.integer);
      return {};
    case AHA_REWARD_NUMBER:
      value->emplace<double>(key.default_value.number);
      return {};
    case AHA_REWARD_TEXT:
      value->emplace<std::string>(Copy(key.default_value.text));
      return {};
    default:
      return Fail(Code::kInvalidArgument, "{}: config key '{}' has the unknown type {}", file,
                  Copy(key.name), key.type);
  }
}

aha_reward_value Lower(const ConfigValue& value) {
  aha_reward_value out{};
  if (const auto* flag = std::get_if<bool>(&value)) out.integer = *flag ? 1 : 0;
  if (const auto* integer = std::get_if<std::int64_t>(&value)) out.integer = *integer;
  if (const auto* number = std::get_if<double>(&value)) out.number = *number;
  if (const auto* text = std::get_if<std::string>(&value)) out.text = View(*text);
  return out;
}

// A plug-in's reward behind the interface.
class PluginReward : public Reward {
 public:
  PluginReward(const aha_reward_plugin_info* info, void* reward, bool one_thread)
      : info_(info), reward_(reward), one_thread_(one_thread) {}
  ~PluginReward() override { info_->destroy(reward_); }

  [[nodiscard]] Outcome Score(const ScoreInput& input) const override {
    const aha_reward_input in{.struct_size = sizeof(aha_reward_input),
                              .tokens = input.tokens,
                              .truncated = input.truncated ? 1U : 0U,
                              .id = View(input.id),
                              .prompt = View(input.prompt),
                              .completion = View(input.completion),
                              .reference = View(input.reference),
                              .language = View(input.language)};
    aha_reward_result out{};
    out.struct_size = sizeof(out);
    {
      std::unique_lock lock(mutex_, std::defer_lock);
      if (one_thread_) lock.lock();
      info_->score(reward_, &in, &out);
    }
    if (out.failure == 0) return Scored(out.score, UpToNul(out.reason));
    const bool known = out.failure <= proto::Failure::BAD_REFERENCE;
    Outcome failed =
        Failed(known ? static_cast<proto::Failure::Kind>(out.failure) : proto::Failure::CRASH,
               UpToNul(out.detail));
    if (out.reason[0] != '\0') failed.set_reason(ToValidUtf8(UpToNul(out.reason)));
    return failed;
  }

 private:
  const aha_reward_plugin_info* info_;
  void* reward_;
  const bool one_thread_;
  mutable std::mutex mutex_;
};

constexpr std::size_t kSizeOfVersion1 = offsetof(aha_reward_plugin_info, flags);

bool OneThread(const aha_reward_plugin_info& info) {
  return info.abi_version >= 2 && (info.flags & AHA_REWARD_ONE_THREAD) != 0;
}

Status CheckInfo(const std::string& file, const aha_reward_plugin_info* info) {
  if (info == nullptr) {
    return Fail(Code::kInvalidArgument, "{}: aha_reward_plugin() returned nothing", file);
  }
  if (info->abi_version < 1 || info->abi_version > AHA_REWARD_ABI_VERSION) {
    return Fail(Code::kInvalidArgument,
                "{}: built for version {} of the reward plug-in ABI, this aha knows version 1 to "
                "version {}; "
                "build it again with this aha's rewards/plugin.h",
                file, info->abi_version, AHA_REWARD_ABI_VERSION);
  }
  const std::size_t least = info->abi_version == 1 ? kSizeOfVersion1 : sizeof(*info);
  if (info->struct_size < least) {
    return Fail(Code::kInvalidArgument, "{}: its plug-in struct has {} bytes, version {} has {}",
                file, info->struct_size, info->abi_version, least);
  }
  if (info->abi_version >= 2 && (info->flags & ~AHA_REWARD_ONE_THREAD) != 0) {
    return Fail(Code::kInvalidArgument, "{}: has flags {:#x}, which this aha does not know", file,
                info->flags);
  }
  if (info->create == nullptr || info->destroy == nullptr || info->score == nullptr) {
    return Fail(Code::kInvalidArgument, "{}: create, destroy and score must all be there", file);
  }
  if (info->key_count > kMostKeys || (info->key_count > 0 && info->keys == nullptr)) {
    return Fail(Code::kInvalidArgument, "{}: declares {} config keys where at most {} can be", file,
                info->key_count, kMostKeys);
  }
  return {};
}

Result<std::unique_ptr<Reward>> Create(const aha_reward_plugin_info* info,
                                       const std::vector<ConfigKey>& keys,
                                       const Config& config) {
  std::vector<aha_reward_value> values;
  for (const auto& key : keys)
    values.push_back(Lower(config.Value(key.name)));
  std::array<char, 512> error{};
  void* reward = info->create(values.data(), values.size(), error.data(), error.size());
  if (reward == nullptr) {
    error.back() = '\0';
    return Fail(Code::kInvalidArgument, "{}: the plug-in refused its config: {}", Copy(info->name),
                ToValidUtf8(error.data()));
  }
  return std::make_unique<PluginReward>(info, reward, OneThread(*info));
}

}  // namespace

Result<Plugin> LoadPlugin(const std::filesystem::path& file) {
  std::error_code error;
  const auto absolute = std::filesystem::absolute(file, error);
  const std::string path = error ? file.string() : absolute.string();
  AHA_ASSIGN(auto sha256, HashFile(path));
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  if (library == nullptr) {
    return Fail(Code::kInvalidArgument, "{}: cannot be loaded as a plug-in: {}", path, dlerror());
  }
  void* symbol = dlsym(library, AHA_REWARD_PLUGIN_SYMBOL);
  if (symbol == nullptr) {
    return Fail(Code::kInvalidArgument,
                "{}: exports no function " AHA_REWARD_PLUGIN_SYMBOL
                "; end the plug-in's source with AHA_REWARD_PLUGIN(Class)",
                path);
  }
  const auto* info = reinterpret_cast<aha_reward_plugin_function>(symbol)();
  AHA_TRY(CheckInfo(path, info));
  Plugin plugin;
  plugin.info = {.name = Copy(info->name),
                 .doc = ToValidUtf8(Copy(info->doc)),
                 .keys = {},
                 .file = path,
                 .sha256 = std::move(sha256),
                 .one_thread = OneThread(*info)};
  for (const auto& key : std::span(info->keys, info->key_count)) {
    auto& added = plugin.info.keys.emplace_back();
    added.name = Copy(key.name);
    added.doc = ToValidUtf8(Copy(key.doc));
    AHA_TRY(ReadDefault(path, key, &added.default_value));
  }
  AHA_TRY(ParseConfig(path, plugin.info.keys, ""));
  plugin.factory = [info, keys = plugin.info.keys](const Config& config) {
    return Create(info, keys, config);
  };
  return plugin;
}

}  // namespace aha::rewards
