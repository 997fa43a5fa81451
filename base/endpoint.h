#pragma once
/// Which ZeroMQ endpoints messages may travel over: without encryption, none beyond this machine.

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace aha {

/// How far messages may travel.
enum class Reach : std::uint8_t {
  kThisMachine,  ///< neither encrypted nor authenticated: the loopback, a file, this process
  kEncrypted,  ///< CURVE keys at both ends: any host, but not inproc, which CURVE knows nothing of
};

/// The endpoint to hand to ZeroMQ: inproc://NAME, ipc://PATH, or tcp://HOST:PORT with HOST on the
/// loopback (127.0.0.0/8, [::1], localhost) and PORT a number up to 65535 or *. kInvalidArgument
/// for any other: messages are neither encrypted nor authenticated, so nothing beyond this machine
/// may see or send them. With Reach::kEncrypted HOST is any name, address, interface or *.
/// @param what  who would travel over it, for the message: "rewards".
Result<std::string> CheckEndpoint(std::string_view endpoint,
                                  std::string_view what,
                                  Reach reach = Reach::kThisMachine);

/// kBusy when a process listens on the ipc:// path already: ZeroMQ would take it over in silence.
Status CheckIpcIsFree(const std::string& endpoint);

}  // namespace aha
