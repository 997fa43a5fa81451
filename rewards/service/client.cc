#include "rewards/service/client.h"

#include <sys/random.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <optional>
#include <set>
#include <utility>

#include <fmt/ranges.h>

#include "base/endpoint.h"
#include "base/log.h"
#include "rewards/reward.h"
#include "rewards/service/socket.h"
#include "rewards/service/wire.h"
#include "rewards/text.h"

namespace aha::rewards {
namespace {

using Clock = Deadline::Clock;
using std::chrono::milliseconds;
constexpr milliseconds kLongestPoll{50};
constexpr milliseconds kFirstBackoff{100};

milliseconds Since(Clock::time_point then) {
  return std::chrono::duration_cast<milliseconds>(Clock::now() - then);
}

// What could not be parsed at the other end, found before anything is sent.
Status CheckSendable(const std::vector<proto::RewardSpec>& rewards,
                     const std::vector<proto::ScoreItem>& items) {
  if (rewards.size() > static_cast<std::size_t>(kMostRewards)) {
    return Fail(Code::kInvalidArgument, "{} rewards, at most {} can be asked for at once",
                rewards.size(), kMostRewards);
  }
  for (const auto& spec : rewards) {
    if (!IsValidUtf8(spec.name()) || !IsValidUtf8(spec.config())) {
      return Fail(Code::kInvalidArgument, "reward '{}': its name and config must be UTF-8",
                  ToValidUtf8(spec.name()));
    }
  }
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (!IsValidUtf8(items[i].id()) || !IsValidUtf8(items[i].language())) {
      return Fail(Code::kInvalidArgument, "item {}: its id and language must be UTF-8", i);
    }
    if (items[i].ByteSizeLong() > static_cast<std::size_t>(kMostMessageBytes) - (1 << 20)) {
      return Fail(Code::kInvalidArgument, "item {} ('{}') has {} bytes, a message holds {}", i,
                  items[i].id(), items[i].ByteSizeLong(), kMostMessageBytes);
    }
  }
  return {};
}

// A score from a service in another language is checked like our own.
void Sanitize(proto::Outcome* outcome) {
  if (outcome->has_score() && !std::isfinite(outcome->score())) {
    *outcome = Failed(proto::Failure::NOT_FINITE,
                      fmt::format("the service returned {}", outcome->score()));
  } else if (outcome->what_case() == proto::Outcome::WHAT_NOT_SET) {
    *outcome = Failed(proto::Failure::CRASH, "the service returned neither a score nor a failure");
  }
}

}  // namespace

struct Client::Peer {
  std::string endpoint;
  zmq::socket_t socket;
  std::uint64_t sequence = 0;
  // Of the present call:
  bool alive = false;
  bool ever_heard = false;
  Clock::time_point last_heard;  // or the call's start
  Clock::time_point next_ping;
  std::size_t requests = 0;  // it has at the moment
};

class Client::Call {
 public:
  Call(Client* client,
       const std::vector<proto::RewardSpec>& rewards,
       const std::vector<proto::ScoreItem>& items,
       Deadline deadline)
      : peers_(client->peers_),
        options_(client->options_),
        rewards_(rewards),
        items_(items),
        deadline_(deadline),
        start_(Clock::now()),
        out_(items.size()) {
    for (auto& peer : peers_) {
      peer.alive = peer.ever_heard = false;
      peer.last_heard = peer.next_ping = start_;
      peer.requests = 0;
    }
    Split(fmt::format("{}-{}", client->token_, client->calls_++));
  }

  Result<std::vector<proto::ItemOutcome>> Run() {
    while (open_ > 0 && !deadline_.passed()) {
      Ping();
      Dispatch();
      Wait();
      for (std::size_t i = 0; i < peers_.size(); ++i)
        AHA_TRY(Receive(i));
      Bury();
    }
    if (open_ > 0) AHA_TRY(GiveUp());
    return std::move(out_);
  }

 private:
  struct Batch {
    std::string request_id;
    std::vector<std::size_t> items;
    bool done = false;
    std::optional<std::size_t> peer;   // that has it now
    std::optional<std::size_t> avoid;  // that refused it last
    Clock::time_point sent;
    Clock::time_point not_before;
    milliseconds resend{0};
    milliseconds backoff = kFirstBackoff;
  };

  void Split(const std::string& token) {
    const std::size_t share = (items_.size() + 2 * peers_.size() - 1) / (2 * peers_.size());
    const std::size_t most = std::clamp<std::size_t>(share, 1, options_.most_items);
    std::size_t bytes = 0;
    for (std::size_t i = 0; i < items_.size(); ++i) {
      if (!IsValidUtf8(items_[i].reference())) {
        Fill(i, proto::Failure::BAD_REFERENCE, "the reference is not UTF-8");
        continue;
      }
      const std::size_t size = items_[i].ByteSizeLong();
      if (batches_.empty() || batches_.back().items.size() >= most ||
          bytes + size > options_.most_bytes) {
        batches_.emplace_back();
        batches_.back().request_id = fmt::format("{}-{}", token, batches_.size());
        bytes = 0;
      }
      batches_.back().items.push_back(i);
      bytes += size;
    }
    open_ = batches_.size();
  }

  void Fill(std::size_t item, proto::Failure::Kind kind, const std::string& detail) {
    out_[item].set_id(items_[item].id());
    out_[item].clear_outcomes();
    for (std::size_t r = 0; r < rewards_.size(); ++r) {
      *out_[item].add_outcomes() = Failed(kind, detail);
    }
  }

  // False when the endpoint has no connection or its queue is full: then it is asked again later.
  static bool Send(Peer* peer, const proto::Envelope& envelope) {
    zmq::message_t message(envelope.ByteSizeLong());
    if (!envelope.SerializeToArray(message.data(), static_cast<int>(message.size()))) return false;
    return TrySend(peer->socket, message);
  }

  void Ping() {
    const auto now = Clock::now();
    for (auto& peer : peers_) {
      if (now < peer.next_ping) continue;
      proto::Envelope envelope;
      envelope.set_wire_version(kWireVersion);
      envelope.mutable_heartbeat()->set_sequence(++peer.sequence);
      const bool sent = Send(&peer, envelope);
      peer.next_ping = now + (sent ? options_.heartbeat : milliseconds(10));
    }
  }

  void Dispatch() {
    const auto now = Clock::now();
    for (auto& batch : batches_) {
      if (batch.done) continue;
      if (batch.peer) {
        if (now - batch.sent < batch.resend) continue;
        batch.resend *= 2;
        SendBatch(&batch, *batch.peer);
        continue;
      }
      if (now < batch.not_before) continue;
      const auto peer = Choose(batch.avoid);
      if (!peer || !SendBatch(&batch, *peer)) continue;
      batch.peer = peer;
      batch.resend = options_.resend;
      ++peers_[*peer].requests;
    }
  }

  // The live endpoint with the least to do; the one to avoid only when it is the only one.
  [[nodiscard]] std::optional<std::size_t> Choose(std::optional<std::size_t> avoid) const {
    // At first one request each, or the endpoint that answers first would take them all.
    const bool settled = AllAlive() || Since(start_) > milliseconds(100);
    const std::size_t window = settled ? options_.window : 1;
    std::optional<std::size_t> best;
    for (std::size_t i = 0; i < peers_.size(); ++i) {
      if (!peers_[i].alive || peers_[i].requests >= window) continue;
      if (!best || best == avoid || (i != avoid && peers_[i].requests < peers_[*best].requests)) {
        best = i;
      }
    }
    return best;
  }

  bool SendBatch(Batch* batch, std::size_t peer) {
    proto::Envelope envelope;
    envelope.set_wire_version(kWireVersion);
    auto* request = envelope.mutable_score_request();
    request->set_request_id(batch->request_id);
    for (const auto& spec : rewards_)
      *request->add_rewards() = spec;
    for (const std::size_t i : batch->items)
      *request->add_items() = items_[i];
    // A little less than there is, so that the service's own verdict on the time comes in time.
    const auto left = deadline_.left();
    const auto margin = std::clamp(left / 10, milliseconds(5), milliseconds(200));
    const auto budget = std::max(left - margin, milliseconds(1));
    request->set_deadline_ms(static_cast<std::uint32_t>(
        std::min<std::int64_t>(budget.count(), std::int64_t{UINT32_MAX})));
    batch->sent = Clock::now();
    return Send(&peers_[peer], envelope);
  }

  [[nodiscard]] bool AllAlive() const {
    return std::all_of(peers_.begin(), peers_.end(), [](const Peer& peer) { return peer.alive; });
  }

  void Wait() {
    std::vector<zmq::pollitem_t> items;
    for (auto& peer : peers_)
      items.push_back({peer.socket.handle(), 0, ZMQ_POLLIN, 0});
    // Short while an endpoint is unheard: a connection that comes up makes no event here.
    Poll(items, std::min(deadline_.left(), AllAlive() ? kLongestPoll : milliseconds(10)));
  }

  Status Receive(std::size_t index) {
    Peer& peer = peers_[index];
    zmq::message_t message;
    while (TryReceive(peer.socket, message)) {
      proto::Envelope envelope;
      if (message.more() || !ParseEnvelope(message.data(), message.size(), &envelope)) {
        spdlog::warn("reward endpoint {}: sent {} bytes that are no Envelope", peer.endpoint,
                     message.size());
        continue;
      }
      if (envelope.wire_version() != kWireVersion) {
        return Fail(Code::kInvalidArgument,
                    "reward endpoint {}: speaks wire version {}, this client version {}; run the "
                    "same version of aha at both ends",
                    peer.endpoint, envelope.wire_version(), kWireVersion);
      }
      if (!peer.alive && peer.ever_heard)
        spdlog::info("reward endpoint {}: is back", peer.endpoint);
      peer.alive = peer.ever_heard = true;
      peer.last_heard = Clock::now();
      if (envelope.has_score_reply()) Take(envelope.mutable_score_reply(), index);
      if (envelope.has_error()) Refused(envelope.error(), index);
    }
    return {};
  }

  Batch* Find(const std::string& request_id) {
    const auto found = std::find_if(batches_.begin(), batches_.end(), [&](const Batch& batch) {
      return batch.request_id == request_id;
    });
    return found == batches_.end() || found->done ? nullptr : &*found;
  }

  [[nodiscard]] bool Fits(const Batch& batch, const proto::ScoreReply& reply) const {
    if (static_cast<std::size_t>(reply.items_size()) != batch.items.size()) return false;
    for (int i = 0; i < reply.items_size(); ++i) {
      const auto& item = items_[batch.items[static_cast<std::size_t>(i)]];
      if (reply.items(i).id() != item.id()) return false;
      if (static_cast<std::size_t>(reply.items(i).outcomes_size()) != rewards_.size()) return false;
    }
    return true;
  }

  void Take(proto::ScoreReply* reply, std::size_t index) {
    Batch* batch = Find(reply->request_id());
    if (batch == nullptr) return;  // late, of an earlier call or a second copy
    if (!Fits(*batch, *reply)) {
      proto::ServiceError error;
      error.set_request_id(reply->request_id());
      error.set_detail("its reply does not have the items and rewards that were asked for");
      return Refused(error, index);
    }
    for (int i = 0; i < reply->items_size(); ++i) {
      for (auto& outcome : *reply->mutable_items(i)->mutable_outcomes())
        Sanitize(&outcome);
      out_[batch->items[static_cast<std::size_t>(i)]].Swap(reply->mutable_items(i));
    }
    Release(batch);
    batch->done = true;
    --open_;
  }

  void Refused(const proto::ServiceError& error, std::size_t index) {
    last_refusal_ = fmt::format("{} said: {}", peers_[index].endpoint, error.detail());
    Batch* batch = Find(error.request_id());
    if (batch == nullptr || batch->peer != index) return;
    spdlog::warn("reward endpoint {}: {}", peers_[index].endpoint, error.detail());
    Release(batch);
    batch->avoid = index;
    batch->not_before = Clock::now() + batch->backoff;
    batch->backoff = std::min(batch->backoff * 2, milliseconds(2000));
  }

  void Release(Batch* batch) {
    if (batch->peer) --peers_[*batch->peer].requests;
    batch->peer.reset();
  }

  // Takes the requests of an endpoint that went silent back, for others or for when it returns.
  void Bury() {
    for (std::size_t i = 0; i < peers_.size(); ++i) {
      Peer& peer = peers_[i];
      if (!peer.alive || Since(peer.last_heard) < options_.silence) continue;
      peer.alive = false;
      spdlog::warn("reward endpoint {}: no answer for {} ms; its {} requests are sent elsewhere",
                   peer.endpoint, Since(peer.last_heard).count(), peer.requests);
      for (auto& batch : batches_) {
        if (!batch.done && batch.peer == i) Release(&batch);
      }
    }
  }

  Status GiveUp() {
    std::vector<std::string> silent;
    bool heard = false;
    for (const auto& peer : peers_) {
      heard = heard || peer.ever_heard;
      if (!peer.alive) {
        silent.push_back(
            fmt::format("{} (no answer for {} ms)", peer.endpoint, Since(peer.last_heard).count()));
      }
    }
    if (!heard) {
      return Fail(Code::kTimeout,
                  "no reward service answered within {} ms: {}; start one with `aha rewards --bind "
                  "ENDPOINT`, or correct the endpoint",
                  Since(start_).count(), fmt::join(silent, ", "));
    }
    std::size_t missing = 0;
    for (const auto& batch : batches_) {
      if (batch.done) continue;
      missing += batch.items.size();
      const bool working = batch.peer && peers_[*batch.peer].alive;
      const std::string detail =
          working ? fmt::format("{} is alive but had not answered {} ms after it was asked",
                                peers_[*batch.peer].endpoint, Since(batch.sent).count())
          : silent.empty() ? "no service took the request; " + last_refusal_
                           : fmt::format("no reward service answered: {}", fmt::join(silent, ", "));
      for (const std::size_t i : batch.items) {
        Fill(i, working ? proto::Failure::TIMEOUT : proto::Failure::UNREACHABLE, detail);
      }
    }
    spdlog::error("rewards: {} of {} items have no outcome after {} ms; silent: {}{}", missing,
                  items_.size(), Since(start_).count(),
                  silent.empty() ? std::string("none") : fmt::format("{}", fmt::join(silent, ", ")),
                  last_refusal_.empty() ? "" : "; " + last_refusal_);
    return {};
  }

  std::vector<Peer>& peers_;
  const ClientOptions& options_;
  const std::vector<proto::RewardSpec>& rewards_;
  const std::vector<proto::ScoreItem>& items_;
  const Deadline deadline_;
  const Clock::time_point start_;
  std::vector<proto::ItemOutcome> out_;
  std::vector<Batch> batches_;
  std::size_t open_ = 0;
  std::string last_refusal_;
};

Client::Client(std::vector<Peer> peers, std::string token, ClientOptions options)
    : peers_(std::move(peers)), token_(std::move(token)), options_(options) {}

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
    std::vector<Peer> peers;
    for (const auto& wanted : endpoints) {
      AHA_ASSIGN(std::string endpoint, CheckEndpoint(wanted, "rewards"));
      Peer peer{.endpoint = endpoint,
                .socket = zmq::socket_t(context, zmq::socket_type::dealer),
                .last_heard = {},
                .next_ping = {}};
      peer.socket.set(zmq::sockopt::linger, 0);
      peer.socket.set(zmq::sockopt::immediate, true);  // nothing is queued for who is not there
      peer.socket.set(zmq::sockopt::maxmsgsize, kMostMessageBytes);
      peer.socket.set(zmq::sockopt::ipv6, endpoint.starts_with("tcp://["));
      peer.socket.set(zmq::sockopt::reconnect_ivl, 50);
      peer.socket.set(zmq::sockopt::reconnect_ivl_max, 1000);
      peer.socket.connect(endpoint);
      peers.push_back(std::move(peer));
    }
    return std::unique_ptr<Client>(
        new Client(std::move(peers), fmt::format("{:016x}{:016x}", token[0], token[1]), options));
  });
}

Result<std::vector<proto::ItemOutcome>> Client::Score(const std::vector<proto::RewardSpec>& rewards,
                                                      const std::vector<proto::ScoreItem>& items,
                                                      Deadline deadline) {
  AHA_TRY(CheckSendable(rewards, items));
  const std::lock_guard lock(mutex_);
  return Guard("reward client", [&] { return Call(this, rewards, items, deadline).Run(); });
}

}  // namespace aha::rewards
