#include "rewards/service/replies.h"

#include <functional>
#include <utility>

namespace aha::rewards {
namespace {

class Mixer {
 public:
  void Add(std::size_t value) {
    hash_ = (hash_ ^ value) * 0x9E3779B97F4A7C15U;
    hash_ ^= hash_ >> 29U;
  }
  void Add(std::string_view text) {
    Add(text.size());
    Add(std::hash<std::string_view>()(text));
  }
  [[nodiscard]] std::size_t hash() const { return hash_; }

 private:
  std::size_t hash_ = 0;
};

}  // namespace

std::size_t Fingerprint(const proto::ScoreRequest& request) {
  Mixer mixer;
  mixer.Add(static_cast<std::size_t>(request.rewards_size()));
  for (const auto& reward : request.rewards()) {
    mixer.Add(reward.name());
    mixer.Add(reward.config());
    mixer.Add(reward.has_isolation() ? std::size_t{1} + reward.isolation().memory_mb() : 0);
    mixer.Add(reward.isolation().timeout_ms());
  }
  for (const auto& item : request.items()) {
    mixer.Add(item.id());
    mixer.Add(item.prompt());
    mixer.Add(item.completion());
    mixer.Add(item.reference());
    mixer.Add(item.language());
    mixer.Add(std::size_t{item.tokens()} * 2 + (item.truncated() ? 1 : 0));
  }
  return mixer.hash();
}

void RecentReplies::ForgetOldest() {
  const auto oldest = replies_.find(order_.front().request_id);
  bytes_ -= oldest->second.bytes.size();
  replies_.erase(oldest);
  order_.pop_front();
}

void RecentReplies::Add(const std::string& request_id, Reply reply, Clock::time_point now) {
  if (reply.bytes.size() > bounds_.bytes) return;
  const std::size_t size = reply.bytes.size();
  if (!replies_.emplace(request_id, std::move(reply)).second) return;
  order_.push_back({request_id, now});
  bytes_ += size;
  while (order_.size() > bounds_.count || bytes_ > bounds_.bytes)
    ForgetOldest();
  Expire(now);
}

void RecentReplies::Expire(Clock::time_point now) {
  while (!order_.empty() && now - order_.front().added > bounds_.age)
    ForgetOldest();
}

const RecentReplies::Reply* RecentReplies::Find(const std::string& request_id) const {
  const auto found = replies_.find(request_id);
  return found == replies_.end() ? nullptr : &found->second;
}

}  // namespace aha::rewards
