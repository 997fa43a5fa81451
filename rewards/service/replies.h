#pragma once
/// Replies already given, so that a request that is sent again is answered again but scored once.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/deadline.h"
#include "proto/rewards.pb.h"

namespace aha::rewards {

/// What a request asks, apart from its id and deadline: equal for a retry, different (but for
/// accident) for another request that was given the same id by mistake.
std::size_t Fingerprint(const proto::ScoreRequest& request);

/// The newest replies within bounds of count, bytes and age; the oldest go first.
class RecentReplies {
 public:
  using Clock = Deadline::Clock;
  struct Reply {
    std::size_t fingerprint = 0;
    std::string bytes;  ///< the serialized Envelope
  };
  struct Bounds {
    std::size_t count = 0;
    std::size_t bytes = 0;
    std::chrono::milliseconds age{0};
  };

  explicit RecentReplies(Bounds bounds) : bounds_(bounds) {}

  void Add(const std::string& request_id, Reply reply, Clock::time_point now = Clock::now());
  /// Borrowed until the next Add or Expire; null when unknown.
  [[nodiscard]] const Reply* Find(const std::string& request_id) const;
  /// Forgets what is too old.
  void Expire(Clock::time_point now = Clock::now());

  [[nodiscard]] std::size_t count() const { return order_.size(); }
  [[nodiscard]] std::size_t bytes() const { return bytes_; }

 private:
  void ForgetOldest();

  Bounds bounds_;
  std::size_t bytes_ = 0;
  std::unordered_map<std::string, Reply> replies_;
  struct Aged {
    std::string request_id;
    Clock::time_point added;
  };
  std::deque<Aged> order_;
};

}  // namespace aha::rewards
