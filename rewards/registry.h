#pragma once
/// Which rewards there are. Built by `main`, passed down, read by many threads at once.

#include <chrono>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "rewards/config.h"
#include "rewards/reward.h"

namespace aha::rewards {

/// What is known of a reward without making one.
struct RewardInfo {
  std::string name;
  std::string doc;  ///< one line
  std::vector<ConfigKey> keys;
  std::string file;         ///< of a plug-in; empty: built in
  std::string sha256;       ///< of that file: an input of every stage that scores with it
  bool one_thread = false;  ///< a plug-in that is called from one thread at a time
  Lane lane = Lane::kThread;
  /// Of kBatch: the longest that one batch may take, whatever the request allows.
  std::chrono::milliseconds batch_deadline{30000};
  /// Of kBatch: completions in one call of ScoreBatch.
  std::size_t most_batch = 64;
};

using RewardFactory = std::function<Result<std::unique_ptr<Reward>>(const Config&)>;

/// Adding is for one thread, before the registry is shared; the const members may then be called
/// from any thread.
class Registry {
 public:
  /// Nothing in it.
  Registry() = default;
  /// format, language, exact, math, code, repetition, overlength and instructions.
  static Registry BuiltIns();

  /// kInvalidArgument when the name is taken or empty.
  Status Add(RewardInfo info, RewardFactory factory);

  /// Loads a plug-in and adds its reward; see plugin_loader.h for the errors. The same file again
  /// is no error.
  Status LoadPlugin(const std::filesystem::path& file);

  /// A reward ready to score. kNotFound for an unknown name (the message has the nearest names);
  /// kInvalidArgument for a config that does not fit its keys. `config_text` is protobuf text.
  [[nodiscard]] Result<std::unique_ptr<Reward>> Make(std::string_view name,
                                                     std::string_view config_text) const;

  /// The same for what a request asks: with `isolation` the reward, which must be a plug-in's, runs
  /// in a process of its own (isolate/isolated_reward.h).
  [[nodiscard]] Result<std::unique_ptr<Reward>> Make(const proto::RewardSpec& spec) const;

  /// What is known of a reward; null for an unknown name. Borrowed.
  [[nodiscard]] const RewardInfo* Find(std::string_view name) const;

  /// All rewards by name.
  [[nodiscard]] std::vector<RewardInfo> List() const;

 private:
  struct Entry {
    RewardInfo info;
    RewardFactory factory;
  };
  std::map<std::string, Entry, std::less<>> entries_;
};

}  // namespace aha::rewards
