#include "rewards/service/exchange.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <set>
#include <utility>

#include <fmt/ranges.h>

#include "base/log.h"
#include "rewards/service/socket.h"
#include "rewards/service/wire.h"

namespace aha::rewards {
namespace {

using std::chrono::milliseconds;
constexpr milliseconds kLongestPoll{50};
constexpr milliseconds kFirstBackoff{100};
constexpr milliseconds kLongestBackoff{2000};
constexpr milliseconds kReconnectAfter{500};

milliseconds Since(Deadline::Clock::time_point then, Deadline::Clock::time_point now) {
  return std::chrono::duration_cast<milliseconds>(now - then);
}

}  // namespace

Client::Exchange::Exchange(std::vector<std::unique_ptr<Peer>> peers,
                           ClientOptions options,
                           int wake_fd)
    : peers_(std::move(peers)), options_(std::move(options)), wake_fd_(wake_fd) {
  const SignalsBlocked blocked;
  thread_ = std::thread([this] { Run(); });
}

Client::Exchange::~Exchange() {
  stopping_ = true;
  eventfd_write(wake_fd_, 1);
  thread_.join();
  ::close(wake_fd_);
}

void Client::Exchange::Add(std::vector<std::unique_ptr<Batch>> batches) {
  bool first = false;
  {
    const std::lock_guard lock(mutex_);
    first = inbox_.empty();
    for (auto& batch : batches)
      inbox_.push_back(std::move(batch));
  }
  if (first) eventfd_write(wake_fd_, 1);
}

void Client::Exchange::Run() {
  while (!stopping_) {
    if (auto ran = Guard("reward client", [this] { Round(); }); !ran) {
      spdlog::error("{}", ran.error().message);
      EndAll(ran.error());
    }
  }
  TakeNew();
  EndAll({Code::kTimeout, "reward client: it was closed with the call open"});
  peers_.clear();  // sockets are closed by the thread that used them
}

void Client::Exchange::Round() {
  Wait();
  TakeNew();
  for (std::size_t i = 0; i < peers_.size(); ++i)
    Receive(i);
  for (std::size_t i = 0; i < peers_.size(); ++i)
    Watch(i);
  const auto now = Clock::now();
  BurySilent(now);
  Ping(now);
  Resend(now);
  Dispatch(now);
  GiveUpRefused(now);
  GiveUpOverdue(now);
}

void Client::Exchange::TakeNew() {
  std::vector<std::unique_ptr<Batch>> fresh;
  {
    const std::lock_guard lock(mutex_);
    fresh.swap(inbox_);
  }
  const Call* last = nullptr;
  for (auto& batch : fresh) {
    if (batch->call.get() != last) due_.emplace(batch->call->deadline.at(), batch->call);
    last = batch->call.get();
    batch->backoff = kFirstBackoff;
    waiting_.push_back(batch->request_id);
    std::string id = batch->request_id;
    batches_.emplace(std::move(id), std::move(batch));
  }
}

void Client::Exchange::Ping(Clock::time_point now) {
  for (auto& peer : peers_) {
    if (peer->reconnect_at && now >= *peer->reconnect_at) {
      peer->reconnect_at.reset();
      peer->Reconnect();
    }
    if (now < peer->next_ping) continue;
    const bool sent = peer->SendHeartbeat();
    peer->next_ping = now + (sent || batches_.empty() ? options_.heartbeat : milliseconds(10));
  }
}

// A request that has no reply yet is sent again: looked for every so often, not on every round.
void Client::Exchange::Resend(Clock::time_point now) {
  if (now < next_resend_check_) return;
  next_resend_check_ = now + std::max(options_.resend / 10, milliseconds(1));
  for (auto& [id, batch] : batches_) {
    if (!batch->peer || now - batch->sent < batch->resend) continue;
    batch->resend *= 2;
    SendBatch(batch.get(), *batch->peer);
  }
}

void Client::Exchange::Dispatch(Clock::time_point now) {
  for (std::size_t left = waiting_.size(); left > 0; --left) {
    std::string id = std::move(waiting_.front());
    waiting_.pop_front();
    const auto found = batches_.find(id);
    if (found == batches_.end() || found->second->peer) continue;
    Batch* batch = found->second.get();
    const auto peer = now < batch->not_before ? std::nullopt : Choose(batch->avoid);
    if (!peer || !SendBatch(batch, *peer)) {
      // Windows are full: so they are for the rest, unless this one only has to wait its time.
      const bool full = !peer && now >= batch->not_before;
      if (full) {
        waiting_.push_front(std::move(id));
        return;
      }
      waiting_.push_back(std::move(id));
      continue;
    }
    batch->peer = peer;
    batch->resend = options_.resend;
    ++peers_[*peer]->requests;
  }
}

// The live endpoint with the least to do, in turn where several have; the one to avoid only when it
// is the only one.
std::optional<std::size_t> Client::Exchange::Choose(std::optional<std::size_t> avoid) {
  // At first one request each, or the endpoint that answers first would take them all.
  const bool all_alive =
      std::all_of(peers_.begin(), peers_.end(), [](const auto& peer) { return peer->alive; });
  const bool settled = all_alive || Since(start_, Clock::now()) > milliseconds(100);
  const std::size_t window = settled ? options_.window : 1;
  std::optional<std::size_t> best;
  const auto load = [&](std::size_t i) { return peers_[i]->requests + peers_[i]->queued; };
  for (std::size_t k = 0; k < peers_.size(); ++k) {
    const std::size_t i = (turn_ + k) % peers_.size();
    if (!peers_[i]->alive || peers_[i]->requests >= window) continue;
    if (!best || best == avoid || (i != avoid && load(i) < load(*best))) best = i;
  }
  if (best) turn_ = *best + 1;
  return best;
}

bool Client::Exchange::SendBatch(Batch* batch, std::size_t peer) {
  // A little less than there is, so that the service's own verdict on the time comes in time.
  const auto left = batch->call->deadline.left();
  const auto margin = std::clamp(left / 10, milliseconds(5), milliseconds(200));
  const auto budget = std::max(left - margin, milliseconds(1));
  batch->message.SetDeadline(
      static_cast<std::uint32_t>(std::min<std::int64_t>(budget.count(), std::int64_t{UINT32_MAX})));
  batch->sent = Clock::now();
  return peers_[peer]->Send(batch->message.bytes());
}

milliseconds Client::Exchange::Longest(Clock::time_point now) const {
  milliseconds wait =
      batches_.empty() ? options_.heartbeat : std::min(options_.heartbeat, kLongestPoll);
  for (const auto& peer : peers_) {
    // Short while an endpoint is unheard and wanted: an inproc connection makes no event.
    if (!batches_.empty() && !peer->alive) wait = std::min(wait, milliseconds(10));
    wait = std::min(wait, std::chrono::ceil<milliseconds>(peer->next_ping - now));
  }
  if (!due_.empty())
    wait = std::min(wait, std::chrono::ceil<milliseconds>(due_.begin()->first - now));
  return std::max(wait, milliseconds(0));
}

void Client::Exchange::Wait() {
  std::vector<zmq::pollitem_t> items = {{nullptr, wake_fd_, ZMQ_POLLIN, 0}};
  for (auto& peer : peers_) {
    items.push_back({peer->socket.handle(), 0, ZMQ_POLLIN, 0});
    if (peer->monitor) items.push_back({peer->monitor->socket().handle(), 0, ZMQ_POLLIN, 0});
  }
  Poll(items, Longest(Clock::now()));
  if ((items[0].revents & ZMQ_POLLIN) != 0) {
    eventfd_t ignored = 0;
    eventfd_read(wake_fd_, &ignored);
  }
}

void Client::Exchange::Receive(std::size_t index) {
  Peer& peer = *peers_[index];
  zmq::message_t message;
  for (int i = 0; i < 64 && TryReceive(peer.socket, message); ++i) {
    proto::Envelope envelope;
    if (message.more() || !ParseEnvelope(message.data(), message.size(), &envelope)) {
      spdlog::warn("reward endpoint {}: sent {} bytes that are no Envelope", peer.endpoint,
                   message.size());
      continue;
    }
    if (envelope.wire_version() != kWireVersion) {
      return EndAll({Code::kInvalidArgument,
                     fmt::format("reward endpoint {}: speaks wire version {}, this client version "
                                 "{}; run the same version of aha at both ends",
                                 peer.endpoint, envelope.wire_version(), kWireVersion)});
    }
    if (!peer.alive && peer.ever_heard) spdlog::info("reward endpoint {}: is back", peer.endpoint);
    peer.alive = peer.ever_heard = true;
    peer.refusals = 0;
    peer.refusal.clear();
    peer.last_heard = Clock::now();
    if (envelope.has_heartbeat()) peer.queued = envelope.heartbeat().queued();
    if (envelope.has_score_reply()) Take(envelope.mutable_score_reply(), index);
    if (envelope.has_error()) Refused(envelope.error(), index);
  }
}

void Client::Exchange::Take(proto::ScoreReply* reply, std::size_t index) {
  const auto found = batches_.find(reply->request_id());
  if (found == batches_.end()) return;  // late, of an earlier call or a second copy
  Batch* batch = found->second.get();
  if (!batch->call->Fits(*batch, *reply)) {
    proto::ServiceError error;
    error.set_request_id(reply->request_id());
    error.set_detail("its reply does not have the items and rewards that were asked for");
    return Refused(error, index);
  }
  batch->call->Take(*batch, reply);
  End(batch);
}

void Client::Exchange::Refused(const proto::ServiceError& error, std::size_t index) {
  last_refusal_ = fmt::format("{} said: {}", peers_[index]->endpoint, error.detail());
  const auto found = batches_.find(error.request_id());
  if (found == batches_.end() || found->second->peer != index) return;
  // Busy is no news: the request waits, that is all.
  if (error.kind() != proto::ServiceError::BUSY)
    spdlog::warn("reward endpoint {}: {}", peers_[index]->endpoint, error.detail());
  Batch* batch = found->second.get();
  Release(batch);
  batch->avoid = index;
  batch->not_before = Clock::now() + batch->backoff;
  batch->backoff = std::min(batch->backoff * 2, kLongestBackoff);
  waiting_.push_back(batch->request_id);
}

void Client::Exchange::Watch(std::size_t index) {
  Peer& peer = *peers_[index];
  while (peer.monitor) {
    const auto event = peer.monitor->Next();
    if (!event) return;
    switch (event->kind) {
      case ConnectionEvent::Kind::kReady:
        peer.next_ping = Clock::now();
        break;
      case ConnectionEvent::Kind::kDisconnected:
        if (peer.alive) Lose(index, "its connection broke");
        break;
      case ConnectionEvent::Kind::kRefused: {
        const bool news = peer.refusal != event->detail;
        peer.refusal = event->detail;
        ++peer.refusals;
        if (event->final || peer.refusals >= kRefusalsForGood) peer.refused_for_good = true;
        if (news && event->final) {
          spdlog::warn("reward endpoint {}: refuses the connection: {}", peer.endpoint,
                       peer.refusal);
        }
        if (!peer.reconnect_at) peer.reconnect_at = Clock::now() + kReconnectAfter;
      }
    }
  }
}

// Takes the requests of an endpoint back, for others or for when it returns.
void Client::Exchange::Lose(std::size_t index, std::string_view why) {
  Peer& peer = *peers_[index];
  peer.alive = false;
  peer.queued = 0;
  if (peer.requests > 0 || !batches_.empty()) {
    spdlog::warn("reward endpoint {}: {}; its {} requests are sent elsewhere", peer.endpoint, why,
                 peer.requests);
  }
  for (auto& [id, batch] : batches_) {
    if (batch->peer != index) continue;
    Release(batch.get());
    waiting_.push_back(id);
  }
}

void Client::Exchange::BurySilent(Clock::time_point now) {
  for (std::size_t i = 0; i < peers_.size(); ++i) {
    const Peer& peer = *peers_[i];
    if (!peer.alive || peer.silent_for(now) < options_.silence) continue;
    Lose(i, fmt::format("no answer for {} ms", peer.silent_for(now).count()));
  }
}

// When every endpoint refuses us, waiting for the deadline would tell nothing more.
void Client::Exchange::GiveUpRefused(Clock::time_point now) {
  static_cast<void>(now);
  if (batches_.empty()) return;
  std::vector<std::string> refusals;
  for (const auto& peer : peers_) {
    if (peer->alive || !peer->refused_for_good || peer->refusal.empty()) return;
    refusals.push_back(fmt::format("{} refuses the connection: {}", peer->endpoint, peer->refusal));
  }
  EndAll({Code::kInvalidArgument,
          fmt::format("reward endpoint {}; check the client's secret key, the service's public key "
                      "and the service's allow-list",
                      fmt::join(refusals, ", "))});
}

void Client::Exchange::GiveUpOverdue(Clock::time_point now) {
  while (!due_.empty() && due_.begin()->first <= now) {
    const auto call = due_.begin()->second.lock();
    due_.erase(due_.begin());
    if (call && call->open > 0) GiveUp(call);
  }
}

void Client::Exchange::GiveUp(const std::shared_ptr<Call>& call) {
  const auto now = Clock::now();
  std::vector<std::string> silent;
  bool heard = false;
  for (const auto& peer : peers_) {
    heard = heard || (peer->ever_heard && peer->last_heard >= call->start) || peer->alive;
    if (peer->alive) continue;
    const auto since = std::max(peer->last_heard, call->start);
    silent.push_back(fmt::format("{} ({} {} ms)", peer->endpoint,
                                 peer->refusal.empty() ? "no answer for" : peer->refusal + ";",
                                 Since(since, now).count()));
  }
  std::vector<Batch*> missing;
  for (auto& [id, batch] : batches_) {
    if (batch->call == call) missing.push_back(batch.get());
  }
  std::size_t items = 0;
  for (Batch* batch : missing) {
    items += batch->items.size();
    const bool working = batch->peer && peers_[*batch->peer]->alive;
    const std::string detail =
        working          ? fmt::format("{} is alive but had not answered {} ms after it was asked",
                                       peers_[*batch->peer]->endpoint, Since(batch->sent, now).count())
        : silent.empty() ? "no service took the request; " + last_refusal_
                         : fmt::format("no reward service answered: {}", fmt::join(silent, ", "));
    for (const std::size_t i : batch->items)
      call->Fill(i, working ? proto::Failure::TIMEOUT : proto::Failure::UNREACHABLE, detail);
  }
  if (!heard) {
    call->open = 0;
    for (Batch* batch : missing) {
      Release(batch);
      batches_.erase(std::string(batch->request_id));
    }
    call->promise.set_value(
        Fail(Code::kTimeout,
             "no reward service answered within {} ms: {}; start one with `aha rewards --bind "
             "ENDPOINT`, or correct the endpoint",
             Since(call->start, now).count(), fmt::join(silent, ", ")));
    return;
  }
  spdlog::error("rewards: {} of {} items have no outcome after {} ms; silent: {}{}", items,
                call->ids.size(), Since(call->start, now).count(),
                silent.empty() ? std::string("none") : fmt::format("{}", fmt::join(silent, ", ")),
                last_refusal_.empty() ? "" : "; " + last_refusal_);
  for (Batch* batch : missing)
    End(batch);
}

void Client::Exchange::EndAll(const Error& error) {
  std::set<std::shared_ptr<Call>> calls;
  for (auto& [id, batch] : batches_)
    calls.insert(batch->call);
  batches_.clear();
  waiting_.clear();
  for (auto& peer : peers_)
    peer->requests = 0;
  for (const auto& call : calls) {
    call->open = 0;
    call->promise.set_value(tl::unexpected<Error>(error));
  }
}

void Client::Exchange::Release(Batch* batch) {
  if (batch->peer) --peers_[*batch->peer]->requests;
  batch->peer.reset();
}

// The batch has all its outcomes.
void Client::Exchange::End(Batch* batch) {
  Release(batch);
  const auto call = batch->call;
  batches_.erase(std::string(batch->request_id));
  if (--call->open == 0) call->promise.set_value(std::move(call->outcomes));
}

}  // namespace aha::rewards
