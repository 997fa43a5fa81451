#pragma once
/// Scores a batch through one or more reward services.

#include <chrono>
#include <cstddef>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include <zmq.hpp>

#include "base/deadline.h"
#include "base/result.h"
#include "proto/rewards.pb.h"

namespace aha::rewards {

struct ClientOptions {
  std::size_t most_items = 64;  ///< in one request
  std::size_t most_bytes = std::size_t{8} << 20;
  std::size_t window = 4;  ///< requests that one endpoint has at a time
  std::chrono::milliseconds heartbeat{250};
  /// An endpoint that says nothing for so long is taken for dead, and its requests go elsewhere.
  std::chrono::milliseconds silence{2000};
  /// A request without a reply is sent again after this, then after twice this, and so on: the
  /// service may have been restarted in between. It costs nothing there, requests are known by id.
  std::chrono::milliseconds resend{3000};
};

/// A DEALER socket for each endpoint. Score may be called from any thread; calls take turns.
class Client {
 public:
  /// Does not wait for the services: Score finds out. kInvalidArgument: no endpoint, or one beyond
  /// this machine.
  static Result<std::unique_ptr<Client>> Connect(zmq::context_t& context,
                                                 std::vector<std::string> endpoints,
                                                 ClientOptions options = {});
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  /// One ItemOutcome an item, in order, each with one Outcome a reward, in order: complete or
  /// typed. At the deadline, items without a reply have TIMEOUT failures where their service was
  /// alive, else UNREACHABLE ones, and the log names the endpoints and how long each has been
  /// silent.
  ///
  /// Errors: kTimeout when no endpoint answered anything before the deadline; kInvalidArgument when
  /// the request cannot be put on the wire (an id, language or config that is not UTF-8, an item
  /// over 256 MiB, more than 64 rewards) or a service speaks another version of the wire format. A
  /// reference that is not UTF-8 is a BAD_REFERENCE failure of its item alone.
  Result<std::vector<proto::ItemOutcome>> Score(const std::vector<proto::RewardSpec>& rewards,
                                                const std::vector<proto::ScoreItem>& items,
                                                Deadline deadline);

 private:
  struct Peer;
  class Call;
  Client(std::vector<Peer> peers, std::string token, ClientOptions options);

  std::mutex mutex_;  // guards all below: sockets are for one thread at a time
  std::vector<Peer> peers_;
  std::string token_;  // makes request ids unique in the world
  std::uint64_t calls_ = 0;
  ClientOptions options_;
};

}  // namespace aha::rewards
