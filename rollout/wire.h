#pragma once
/// What learner and worker share on the wire: proto/rollout.proto's WorkerEnvelope, one a message.

#include <cstdint>

#include <zmq.hpp>

#include "proto/rollout.pb.h"

namespace aha::rollout {

/// The version of WorkerEnvelope that this library speaks.
inline constexpr std::uint32_t kWorkerWireVersion = 1;
/// No message is larger.
inline constexpr std::int64_t kMostWorkerMessageBytes = std::int64_t{256} << 20;

/// False for bytes that are no WorkerEnvelope. Quiet: a peer cannot fill the log.
bool ParseWorkerEnvelope(const zmq::message_t& message, proto::WorkerEnvelope* envelope);

/// Wakes a thread that polls `fd`; from any thread.
class WakeUp {
 public:
  WakeUp();  ///< throws std::system_error when no descriptor is left
  ~WakeUp();
  WakeUp(const WakeUp&) = delete;
  WakeUp& operator=(const WakeUp&) = delete;

  void Ring() const;
  void Clear() const;  ///< by the thread that was woken
  [[nodiscard]] int fd() const { return fd_; }

 private:
  int fd_;
};

}  // namespace aha::rollout
