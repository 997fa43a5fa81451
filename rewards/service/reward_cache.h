#pragma once
/// Rewards made once and shared by the threads that score.

#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "rewards/registry.h"

namespace aha::rewards {

/// A reward, or why it cannot be made.
struct Made {
  std::shared_ptr<const Reward> reward;
  Outcome failure;
};

/// By name, config and isolation. Safe from many threads.
class RewardCache {
 public:
  explicit RewardCache(const Registry& registry) : registry_(registry) {}
  std::shared_ptr<const Made> Get(const proto::RewardSpec& spec);
  [[nodiscard]] const Registry& registry() const { return registry_; }

 private:
  [[nodiscard]] std::shared_ptr<const Made> Make(const proto::RewardSpec& spec) const;

  const Registry registry_;
  std::mutex mutex_;  // guards made_
  std::map<std::string, std::shared_ptr<const Made>> made_;
};

}  // namespace aha::rewards
