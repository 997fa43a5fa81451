#include "rewards/service/peer.h"

#include <utility>

#include "rewards/service/socket.h"
#include "rewards/service/wire.h"

namespace aha::rewards {

Peer::Peer(zmq::context_t& used, std::string to, const std::optional<ClientCurve>& keys)
    : context(used), endpoint(std::move(to)), curve(keys) {
  Open();
}

void Peer::Open() {
  socket = zmq::socket_t(context, zmq::socket_type::dealer);
  socket.set(zmq::sockopt::linger, 0);
  socket.set(zmq::sockopt::immediate, true);  // nothing is queued for who is not there
  socket.set(zmq::sockopt::maxmsgsize, kMostMessageBytes);
  socket.set(zmq::sockopt::ipv6, endpoint.starts_with("tcp://["));
  socket.set(zmq::sockopt::reconnect_ivl, 50);
  socket.set(zmq::sockopt::reconnect_ivl_max, 1000);
  socket.set(zmq::sockopt::handshake_ivl, 5000);
  if (!endpoint.starts_with("inproc://")) {
    if (curve) Apply(*curve, &socket);
    monitor.emplace(context, socket);
  }
  socket.connect(endpoint);
}

void Peer::Reconnect() {
  monitor.reset();
  socket.close();
  alive = false;
  Open();
}

bool Peer::Send(std::string_view bytes) {
  zmq::message_t message(bytes.data(), bytes.size());
  return TrySend(socket, message);
}

bool Peer::SendHeartbeat() {
  auto envelope = NewEnvelope();
  envelope.mutable_heartbeat()->set_sequence(++sequence);
  return Send(Serialize(envelope));
}

}  // namespace aha::rewards
