#pragma once
/// One endpoint as the client sees it.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include <zmq.hpp>

#include "base/deadline.h"
#include "base/result.h"
#include "rewards/service/client.h"
#include "rewards/service/monitor.h"

namespace aha::rewards {

/// In a row, without a reason that is final: then the connection counts as refused.
inline constexpr std::size_t kRefusalsForGood = 5;

struct Peer {
  using Clock = Deadline::Clock;

  /// Connects. The connection comes up, breaks and comes up again by itself.
  Peer(zmq::context_t& context, std::string to, const std::optional<ClientCurve>& curve);

  /// Throws the socket away and connects anew: ZeroMQ gives up for good on one that was refused.
  void Reconnect();
  /// False when the endpoint has no connection or its queue is full: then it is asked again later.
  bool Send(std::string_view bytes);
  bool SendHeartbeat();
  [[nodiscard]] std::chrono::milliseconds silent_for(Clock::time_point now) const {
    return std::chrono::duration_cast<std::chrono::milliseconds>(now - last_heard);
  }

  zmq::context_t& context;
  std::string endpoint;
  const std::optional<ClientCurve>& curve;
  zmq::socket_t socket;
  std::optional<Monitor> monitor;  ///< none for inproc
  std::uint64_t sequence = 0;
  bool alive = false;
  bool ever_heard = false;
  Clock::time_point last_heard = Clock::now();
  Clock::time_point next_ping = Clock::now();
  std::size_t requests = 0;  ///< that it has of ours
  std::uint64_t queued = 0;  ///< that it has in all, by its last heartbeat
  std::string refusal;       ///< why the last handshake failed; empty: it did not
  bool refused_for_good = false;
  std::size_t refusals = 0;  ///< in a row
  std::optional<Clock::time_point> reconnect_at;

 private:
  void Open();
};

}  // namespace aha::rewards
