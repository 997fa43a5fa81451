#pragma once
/// What happens to a socket's connections: ZeroMQ tells nobody who does not ask.

#include <cstdint>
#include <optional>
#include <string>

#include <zmq.hpp>

namespace aha::rewards {

struct ConnectionEvent {
  enum class Kind : std::uint8_t {
    kReady,         ///< a handshake succeeded: messages can pass
    kDisconnected,  ///< a connection that had been made broke
    kRefused,       ///< a handshake failed
  };
  Kind kind = Kind::kReady;
  std::string detail;  ///< of kRefused
  /// Of kRefused: it will be so again. Else the peer may only have died in the middle of it.
  bool final = false;
};

/// Watches one socket. inproc:// connections make no events.
class Monitor {
 public:
  /// `socket` must live longer.
  Monitor(zmq::context_t& context, zmq::socket_t& socket);
  ~Monitor();
  Monitor(Monitor&& other) noexcept;
  Monitor& operator=(Monitor&&) = delete;

  /// The next event that has come, without waiting.
  std::optional<ConnectionEvent> Next();
  zmq::socket_t& socket() { return events_; }

 private:
  void* watched_;
  zmq::socket_t events_;
};

}  // namespace aha::rewards
