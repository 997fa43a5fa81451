#pragma once
/// ZeroMQ calls that never wait and take a signal (EINTR) for "nothing yet" instead of throwing.

#include <signal.h>

#include <cerrno>
#include <chrono>
#include <span>

#include <zmq.hpp>

namespace aha::rewards {

/// Waits for events; returns early, without any, when a signal arrives.
inline void Poll(std::span<zmq::pollitem_t> items, std::chrono::milliseconds timeout) {
  if (zmq_poll(items.data(), static_cast<int>(items.size()), static_cast<long>(timeout.count())) <
          0 &&
      zmq_errno() != EINTR) {
    throw zmq::error_t();
  }
}

/// False when the message could not be queued at once.
inline bool TrySend(zmq::socket_t& socket, zmq::message_t& message) {
  try {
    return socket.send(message, zmq::send_flags::dontwait).has_value();
  } catch (const zmq::error_t& e) {
    if (e.num() == EINTR) return false;
    throw;
  }
}

/// False when no message is there.
inline bool TryReceive(zmq::socket_t& socket, zmq::message_t& message) {
  try {
    return socket.recv(message, zmq::recv_flags::dontwait).has_value();
  } catch (const zmq::error_t& e) {
    if (e.num() == EINTR) return false;
    throw;
  }
}

/// While it lives, threads that are started take no signals (but for those that their own faults
/// raise): a signal inside a message of several frames would tear it, and signals are main's.
class SignalsBlocked {
 public:
  SignalsBlocked() {
    sigset_t blocked;
    sigfillset(&blocked);
    for (const int own : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP})
      sigdelset(&blocked, own);
    pthread_sigmask(SIG_BLOCK, &blocked, &before_);
  }
  ~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;

 private:
  sigset_t before_{};
};

}  // namespace aha::rewards
