#pragma once
/// What client and service share on the wire: proto/rewards.proto's Envelope, one a message.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "proto/rewards.pb.h"

namespace aha::rewards {

/// The version of the messages in proto/rewards.proto that this library speaks.
inline constexpr std::uint32_t kWireVersion = 1;
/// No message is larger.
inline constexpr std::int64_t kMostMessageBytes = std::int64_t{256} << 20;
inline constexpr int kMostRewards = 64;   ///< in one request
inline constexpr int kMostItems = 65536;  ///< in one request
inline constexpr int kMostIdBytes = 256;  ///< of a request id

/// Reads a message. Quietly: protobuf itself would write a line of log for every text that is not
/// UTF-8, and a peer could flood the log.
bool ParseEnvelope(const void* bytes, std::size_t size, proto::Envelope* envelope);

/// A request as it travels, serialised once; only its deadline changes when it is sent again.
class RequestBytes {
 public:
  RequestBytes() = default;
  /// Of `items` those at `chosen`; nothing is copied but into the bytes.
  RequestBytes(const std::string& request_id,
               std::span<const proto::RewardSpec> rewards,
               std::span<const proto::ScoreItem> items,
               std::span<const std::uint32_t> chosen);
  void SetDeadline(std::uint32_t ms);
  [[nodiscard]] const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
};

/// The Envelope with a ScoreReply: item i has outcomes [i * rewards, (i + 1) * rewards).
std::string ReplyBytes(const std::string& request_id,
                       const proto::ScoreRequest& request,
                       std::span<const proto::Outcome> outcomes);

/// A message of the other kinds.
std::string Serialize(const proto::Envelope& envelope);
proto::Envelope NewEnvelope();

}  // namespace aha::rewards
