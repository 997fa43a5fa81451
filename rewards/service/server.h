#pragma once
/// The reward service: scores what arrives over ZeroMQ. Wire format: docs/reward_service.md.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <zmq.hpp>

#include "base/result.h"
#include "rewards/registry.h"
#include "rewards/service/curve.h"

namespace aha::rewards {

struct ServiceOptions {
  /// inproc://, ipc://, or tcp:// on the loopback; a tcp port may be *. With `curve` any tcp host,
  /// and no inproc://.
  std::vector<std::string> endpoints;
  int threads = 1;  ///< that run pure verifiers; one more thread serves the sockets
  /// Threads for rewards that wait for a process (Lane::kProcess); 0: as many as `threads`.
  int process_slots = 0;
  /// Requests scored or waiting at once, and their bytes; beyond either a request gets a BUSY
  /// ServiceError.
  std::size_t most_requests = 4096;
  std::size_t most_request_bytes = std::size_t{1} << 30;
  /// Replies kept for requests that come again.
  std::size_t recent_replies = 65536;
  std::size_t recent_reply_bytes = std::size_t{64} << 20;
  std::chrono::milliseconds recent_reply_age{600000};
  /// For requests that name no deadline; and the most that any may ask for.
  std::chrono::milliseconds default_deadline{60000};
  std::chrono::milliseconds longest_deadline{3600000};
  /// How long Stop waits for verifiers that are at work.
  std::chrono::milliseconds stop_grace{5000};
  /// Encrypts every endpoint and lets in only the clients of its list.
  std::optional<ServerCurve> curve = std::nullopt;
};

struct ServiceCounters {
  std::uint64_t queued = 0;  ///< requests that no thread has begun
  std::uint64_t scored = 0;  ///< items answered since the start
  std::uint64_t failed = 0;  ///< outcomes among them that were failures
};

/// A running service. Its threads are joined by Stop or the destructor; Stop it before the ZeroMQ
/// context is closed.
class Service {
 public:
  /// Binds and starts. kInvalidArgument: an endpoint beyond this machine without CURVE, none at
  /// all, no threads; kBusy: an endpoint in use; kExhausted: no descriptors or threads left. The
  /// registry is copied. With CURVE the service makes a ZeroMQ context of its own, because a
  /// context has only one list of those who may connect.
  static Result<std::unique_ptr<Service>> Start(zmq::context_t& context,
                                                const Registry& registry,
                                                ServiceOptions options);
  ~Service();
  Service(const Service&) = delete;
  Service& operator=(const Service&) = delete;

  /// Where it is bound, with ports resolved.
  [[nodiscard]] const std::vector<std::string>& endpoints() const;
  [[nodiscard]] ServiceCounters counters() const;

  /// Takes nothing new (a STOPPING ServiceError), finishes what it has; true when all of it was
  /// answered within `patience`. Stop it afterwards.
  bool Drain(std::chrono::milliseconds patience);

  /// Answers open requests with a STOPPING ServiceError (clients then ask another service) and
  /// joins all threads. Calling it again does nothing.
  void Stop();

 private:
  class Loop;
  explicit Service(std::unique_ptr<Loop> loop);
  std::unique_ptr<Loop> loop_;
};

}  // namespace aha::rewards
