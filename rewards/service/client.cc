#include "rewards/service/client.h"

#include <sys/eventfd.h>
#include <sys/random.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/endpoint.h"
#include "rewards/service/exchange.h"
#include "rewards/service/peer.h"
#include "rewards/service/socket.h"
#include "rewards/service/wire.h"

namespace aha::rewards {
namespace {

Result<std::string> Checked(const std::string& endpoint, const std::optional<ClientCurve>& curve) {
  // Beside encrypted services one in this process may be used.
  const bool inside = endpoint.starts_with("inproc://");
  return CheckEndpoint(endpoint, "rewards",
                       curve && !inside ? Reach::kEncrypted : Reach::kThisMachine);
}

}  // namespace

Client::Client(std::unique_ptr<Exchange> exchange, std::string token, ClientOptions options)
    : token_(std::move(token)), options_(std::move(options)), exchange_(std::move(exchange)) {}

Client::~Client() = default;

Result<std::unique_ptr<Client>> Client::Connect(zmq::context_t& context,
                                                std::vector<std::string> endpoints,
                                                ClientOptions options) {
  if (endpoints.empty()) {
    return Fail(Code::kInvalidArgument, "reward client: no endpoint was given");
  }
  if (options.most_items < 1 || options.window < 1) {
    return Fail(Code::kInvalidArgument, "reward client: most_items and window must be at least 1");
  }
  // An identity, not chance that a run depends on: two clients must never share request ids.
  std::array<std::uint64_t, 2> token{};
  if (getrandom(token.data(), sizeof(token), 0) != static_cast<ssize_t>(sizeof(token))) {
    return Fail(Code::kInternal, "reward client: the system gave no random bytes");
  }
  return Guard("reward client", [&]() -> Result<std::unique_ptr<Client>> {
    std::unique_ptr<Client> client(
        new Client(nullptr, fmt::format("{:016x}{:016x}", token[0], token[1]), options));
    std::vector<std::unique_ptr<Peer>> peers;
    for (const auto& wanted : endpoints) {
      AHA_ASSIGN(std::string endpoint, Checked(wanted, options.curve));
      peers.push_back(std::make_unique<Peer>(context, std::move(endpoint), client->options_.curve));
    }
    const int wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (wake_fd < 0) {
      return Fail(Code::kExhausted, "reward client: no descriptor left for an eventfd");
    }
    client->exchange_ = std::make_unique<Exchange>(std::move(peers), client->options_, wake_fd);
    return client;
  });
}

std::future<Result<Client::Outcomes>> Client::Begin(const std::vector<proto::RewardSpec>& rewards,
                                                    const std::vector<proto::ScoreItem>& items,
                                                    Deadline deadline) {
  auto call = std::make_shared<Call>(deadline);
  auto future = call->promise.get_future();
  if (const Status sendable = CheckSendable(rewards, items); !sendable) {
    call->promise.set_value(tl::unexpected<Error>(sendable.error()));
    return future;
  }
  // A large call is spread over all endpoints.
  const std::size_t shares = 2 * exchange_->peers();
  const std::size_t share = (items.size() + shares - 1) / shares;
  auto batches = Split(call, rewards, items, std::clamp<std::size_t>(share, 1, options_.most_items),
                       options_.most_bytes, fmt::format("{}-{}", token_, calls_++));
  if (batches.empty()) {
    call->promise.set_value(std::move(call->outcomes));
  } else {
    exchange_->Add(std::move(batches));
  }
  return future;
}

Result<Client::Outcomes> Client::Score(const std::vector<proto::RewardSpec>& rewards,
                                       const std::vector<proto::ScoreItem>& items,
                                       Deadline deadline) {
  return Begin(rewards, items, deadline).get();  // the client's thread ends it at the deadline
}

Result<proto::ServiceStatus> AskStatus(zmq::context_t& context,
                                       const std::string& endpoint,
                                       const std::optional<ClientCurve>& curve,
                                       Deadline deadline) {
  AHA_ASSIGN(std::string checked, Checked(endpoint, curve));
  const Deadline::Clock::time_point start = Deadline::Clock::now();
  return Guard("reward status", [&]() -> Result<proto::ServiceStatus> {
    Peer peer(context, checked, curve);
    auto question = NewEnvelope();
    question.mutable_status_request();
    std::size_t refusals = 0;
    for (bool asked = false; !deadline.passed();) {
      asked = asked || peer.Send(Serialize(question));
      std::array<zmq::pollitem_t, 1> items = {
          zmq::pollitem_t{peer.socket.handle(), 0, ZMQ_POLLIN, 0}};
      Poll(items, std::min(deadline.left(), std::chrono::milliseconds(10)));
      zmq::message_t message;
      proto::Envelope answer;
      if (TryReceive(peer.socket, message) &&
          ParseEnvelope(message.data(), message.size(), &answer)) {
        if (answer.has_status()) return answer.status();
        return Fail(Code::kInvalidArgument, "{}: does not tell its status: {}", checked,
                    answer.error().detail());
      }
      if (!peer.monitor) continue;
      if (const auto event = peer.monitor->Next();
          event && event->kind == ConnectionEvent::Kind::kRefused &&
          (event->final || ++refusals >= kRefusalsForGood)) {
        return Fail(Code::kInvalidArgument,
                    "{} refuses the connection: {}; check --key, --server-key and the service's "
                    "allow-list",
                    checked, event->detail);
      }
    }
    return Fail(
        Code::kTimeout, "{}: no reward service answered within {} ms", checked,
        std::chrono::duration_cast<std::chrono::milliseconds>(Deadline::Clock::now() - start)
            .count());
  });
}

}  // namespace aha::rewards
