#include "rewards/service/reward_cache.h"

#include <utility>

namespace aha::rewards {
namespace {

constexpr std::size_t kMostKept = 1024;

}  // namespace

std::shared_ptr<const Made> RewardCache::Get(const proto::RewardSpec& spec) {
  const std::string key = spec.SerializeAsString();
  {
    const std::lock_guard lock(mutex_);
    if (const auto found = made_.find(key); found != made_.end()) return found->second;
  }
  auto made = Make(spec);  // outside the lock: a plug-in's constructor may take its time
  const std::lock_guard lock(mutex_);
  if (made_.size() >= kMostKept) made_.clear();
  return made_.emplace(key, std::move(made)).first->second;
}

std::shared_ptr<const Made> RewardCache::Make(const proto::RewardSpec& spec) const {
  auto made = std::make_shared<Made>();
  auto reward = registry_.Make(spec);
  if (reward) {
    made->reward = *std::move(reward);
  } else {
    const bool unknown = reward.error().code == Code::kNotFound;
    made->failure = Failed(unknown ? proto::Failure::NO_SUCH_REWARD : proto::Failure::BAD_CONFIG,
                           reward.error().message);
  }
  return made;
}

}  // namespace aha::rewards
