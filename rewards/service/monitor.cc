#include "rewards/service/monitor.h"

#include <atomic>
#include <cstring>
#include <utility>

#include <fmt/format.h>

#include "rewards/service/socket.h"

namespace aha::rewards {
namespace {

constexpr int kEvents = ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_DISCONNECTED |
                        ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL | ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL |
                        ZMQ_EVENT_HANDSHAKE_FAILED_AUTH;

std::string ProtocolFault(std::uint32_t value) {
  switch (value) {
    case ZMQ_PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH:
      return "one side uses CURVE keys and the other does not";
    case ZMQ_PROTOCOL_ERROR_ZMTP_CRYPTOGRAPHIC:
      return "the messages cannot be decrypted: the server key is not the service's public key";
    default:
      return fmt::format("the peer does not speak as it should (ZeroMQ protocol error {:#x})",
                         value);
  }
}

ConnectionEvent Refused(std::uint16_t event, std::uint32_t value) {
  using Kind = ConnectionEvent::Kind;
  if (event == ZMQ_EVENT_HANDSHAKE_FAILED_AUTH) {
    return {Kind::kRefused, fmt::format("the key is not in its allow-list (status {})", value),
            true};
  }
  if (event == ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL) {
    return {Kind::kRefused, ProtocolFault(value), true};
  }
  return {Kind::kRefused,
          fmt::format("the connection was closed while keys were exchanged ({})",
                      zmq_strerror(static_cast<int>(value))),
          false};
}

}  // namespace

Monitor::Monitor(zmq::context_t& context, zmq::socket_t& socket)
    : watched_(socket.handle()), events_(context, zmq::socket_type::pair) {
  static std::atomic<std::uint64_t> count = 0;
  const std::string endpoint = fmt::format("inproc://aha-monitor-{}", ++count);
  if (zmq_socket_monitor(watched_, endpoint.c_str(), kEvents) != 0) throw zmq::error_t();
  events_.set(zmq::sockopt::linger, 0);
  events_.connect(endpoint);
}

Monitor::Monitor(Monitor&& other) noexcept
    : watched_(std::exchange(other.watched_, nullptr)), events_(std::move(other.events_)) {}

Monitor::~Monitor() {
  if (watched_ != nullptr) zmq_socket_monitor(watched_, nullptr, 0);
}

std::optional<ConnectionEvent> Monitor::Next() {
  zmq::message_t head;
  if (!TryReceive(events_, head)) return std::nullopt;
  zmq::message_t address;
  TryReceive(events_, address);
  if (head.size() != 6) return std::nullopt;
  std::uint16_t event = 0;
  std::uint32_t value = 0;
  std::memcpy(&event, head.data(), sizeof(event));
  std::memcpy(&value, head.data<char>() + sizeof(event), sizeof(value));
  if (event == ZMQ_EVENT_HANDSHAKE_SUCCEEDED) return ConnectionEvent{.detail = {}};
  if (event == ZMQ_EVENT_DISCONNECTED) {
    return ConnectionEvent{.kind = ConnectionEvent::Kind::kDisconnected, .detail = {}};
  }
  return Refused(event, value);
}

}  // namespace aha::rewards
