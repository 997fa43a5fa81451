#pragma once
/// Replies already given, so that a request that is sent again is answered again but scored once.

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <unordered_map>

#include "proto/rewards.pb.h"

namespace aha::rewards {

/// What a request asks, apart from its id and deadline: equal for a retry, different (but for
/// accident) for another request that was given the same id by mistake.
std::size_t Fingerprint(const proto::ScoreRequest& request);

/// The newest replies within bounds of count and bytes; the oldest go first.
class RecentReplies {
 public:
  struct Reply {
    std::size_t fingerprint = 0;
    std::string bytes;  ///< the serialized Envelope
  };

  RecentReplies(std::size_t most, std::size_t most_bytes) : most_(most), most_bytes_(most_bytes) {}

  void Add(const std::string& request_id, Reply reply);
  /// Borrowed until the next Add; null when unknown.
  [[nodiscard]] const Reply* Find(const std::string& request_id) const;

 private:
  std::size_t most_;
  std::size_t most_bytes_;
  std::size_t bytes_ = 0;
  std::unordered_map<std::string, Reply> replies_;
  std::deque<std::string> order_;
};

}  // namespace aha::rewards
