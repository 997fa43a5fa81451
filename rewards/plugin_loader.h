#pragma once
/// Loads a user's reward from a shared object (plugin_abi.h).

#include <filesystem>

#include "base/result.h"
#include "rewards/registry.h"

namespace aha::rewards {

struct Plugin {
  RewardInfo info;  ///< with the file's path and SHA-256
  RewardFactory factory;
};

/// Opens `file` and reads what it declares; its code runs from here on. Never unloaded.
/// kNotFound: no such file. kInvalidArgument: not a shared object, no aha_reward_plugin in it,
/// built for another ABI version (the message has both versions and the path), or what it declares
/// is not sound (no name, a missing function, a key that cannot be declared).
Result<Plugin> LoadPlugin(const std::filesystem::path& file);

}  // namespace aha::rewards
