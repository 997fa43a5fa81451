#pragma once
/// Scores batches through one or more reward services.

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <zmq.hpp>

#include "base/deadline.h"
#include "base/result.h"
#include "proto/rewards.pb.h"
#include "rewards/service/curve.h"

namespace aha::rewards {

struct ClientOptions {
  std::size_t most_items = 64;  ///< in one request
  std::size_t most_bytes = std::size_t{8} << 20;
  std::size_t window = 16;  ///< requests that one endpoint has at a time
  std::chrono::milliseconds heartbeat{250};
  /// An endpoint that says nothing for so long is taken for dead, and its requests go elsewhere;
  /// one whose connection breaks is at once.
  std::chrono::milliseconds silence{2000};
  /// A request without a reply is sent again after this, then after twice this, and so on: the
  /// service may have been restarted in between. It costs nothing there, requests are known by id.
  std::chrono::milliseconds resend{3000};
  /// Encrypts the connections; needed for endpoints beyond this machine.
  std::optional<ClientCurve> curve = std::nullopt;
};

/// A thread of its own keeps a DEALER socket for each endpoint, so that heartbeats go out between
/// calls too. All methods may be called from any thread, and calls do not wait for each other.
class Client {
 public:
  using Outcomes = std::vector<proto::ItemOutcome>;

  /// Does not wait for the services: Score finds out. kInvalidArgument: no endpoint, or one beyond
  /// this machine without CURVE.
  static Result<std::unique_ptr<Client>> Connect(zmq::context_t& context,
                                                 std::vector<std::string> endpoints,
                                                 ClientOptions options = {});
  /// Calls that are open end with kTimeout.
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
  /// over 256 MiB, more than 64 rewards), a service speaks another version of the wire format, or
  /// every endpoint refuses the connection (a wrong key): that is known soon, not at the deadline.
  /// A reference that is not UTF-8 is a BAD_REFERENCE failure of its item alone.
  Result<Outcomes> Score(const std::vector<proto::RewardSpec>& rewards,
                         const std::vector<proto::ScoreItem>& items,
                         Deadline deadline);

  /// The same without waiting. What is passed may go at once: it has been serialised.
  std::future<Result<Outcomes>> Begin(const std::vector<proto::RewardSpec>& rewards,
                                      const std::vector<proto::ScoreItem>& items,
                                      Deadline deadline);

 private:
  class Exchange;
  Client(std::unique_ptr<Exchange> exchange, std::string token, ClientOptions options);

  const std::string token_;  // makes request ids unique in the world
  std::atomic<std::uint64_t> calls_ = 0;
  const ClientOptions options_;
  std::unique_ptr<Exchange> exchange_;  // last: its thread reads what is above until it is gone
};

/// Asks a service how it is doing. kTimeout when it does not say before the deadline.
Result<proto::ServiceStatus> AskStatus(zmq::context_t& context,
                                       const std::string& endpoint,
                                       const std::optional<ClientCurve>& curve,
                                       Deadline deadline);

}  // namespace aha::rewards
