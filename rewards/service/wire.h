#pragma once
/// What client and service share on the wire: proto/rewards.proto's Envelope, one a message.

#include <cstddef>
#include <cstdint>

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

}  // namespace aha::rewards
