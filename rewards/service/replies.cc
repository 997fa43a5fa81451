#include "rewards/service/replies.h"

#include <functional>
#include <utility>

namespace aha::rewards {

std::size_t Fingerprint(const proto::ScoreRequest& request) {
  proto::ScoreRequest asked = request;
  asked.clear_request_id();
  asked.clear_deadline_ms();
  return std::hash<std::string>()(asked.SerializeAsString());
}

void RecentReplies::Add(const std::string& request_id, Reply reply) {
  if (reply.bytes.size() > most_bytes_) return;
  const std::size_t size = reply.bytes.size();
  if (!replies_.emplace(request_id, std::move(reply)).second) return;
  order_.push_back(request_id);
  bytes_ += size;
  while (order_.size() > most_ || bytes_ > most_bytes_) {
    const auto oldest = replies_.find(order_.front());
    bytes_ -= oldest->second.bytes.size();
    replies_.erase(oldest);
    order_.pop_front();
  }
}

const RecentReplies::Reply* RecentReplies::Find(const std::string& request_id) const {
  const auto found = replies_.find(request_id);
  return found == replies_.end() ? nullptr : &found->second;
}

}  // namespace aha::rewards
