#pragma once
/// Which ZeroMQ endpoints rewards may travel over.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "proto/rewards.pb.h"

namespace aha::rewards {

/// The version of the messages in proto/rewards.proto that this library speaks.
inline constexpr std::uint32_t kWireVersion = 1;
/// No message is larger.
inline constexpr std::int64_t kMostMessageBytes = std::int64_t{256} << 20;
inline constexpr int kMostRewards = 64;   ///< in one request
inline constexpr int kMostItems = 65536;  ///< in one request
inline constexpr int kMostIdBytes = 256;  ///< of a request id

/// The endpoint to hand to ZeroMQ: inproc://NAME, ipc://PATH, or tcp:// on the loopback
/// (127.0.0.0/8, [::1], localhost). kInvalidArgument for any other: messages are neither encrypted
/// nor authenticated, so nothing beyond this machine may see or send them.
Result<std::string> CheckEndpoint(std::string_view endpoint);

/// kBusy when a process listens on the ipc:// path already: ZeroMQ would take it over in silence.
Status CheckIpcIsFree(const std::string& endpoint);

/// Reads a message. Quietly: protobuf itself would write a line of log for every text that is not
/// UTF-8, and a peer could flood the log.
bool ParseEnvelope(const void* bytes, std::size_t size, proto::Envelope* envelope);

}  // namespace aha::rewards
