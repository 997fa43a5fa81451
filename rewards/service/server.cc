#include "rewards/service/server.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <optional>
#include <thread>
#include <unordered_map>
#include <utility>

#include <zmq_addon.hpp>

#include "base/deadline.h"
#include "base/endpoint.h"
#include "base/log.h"
#include "rewards/service/replies.h"
#include "rewards/service/socket.h"
#include "rewards/service/wire.h"
#include "rewards/service/work.h"

namespace aha::rewards {
namespace {

using Frames = std::vector<zmq::message_t>;
// Identity of the peer, and whether it put an empty frame before its message, as a REQ socket does.
struct Route {
  std::string identity;
  bool delimiter = false;
  friend bool operator==(const Route&, const Route&) = default;
};

struct Open {
  std::shared_ptr<Job> job;
  std::vector<Route> routes;
  std::size_t fingerprint = 0;
  std::size_t bytes = 0;
};

proto::Envelope NewEnvelope() {
  proto::Envelope envelope;
  envelope.set_wire_version(kWireVersion);
  return envelope;
}

std::optional<std::string> RequestFault(const proto::ScoreRequest& request) {
  if (request.request_id().empty()) return "request_id is missing";
  if (request.request_id().size() > kMostIdBytes) {
    return fmt::format("request_id has {} bytes, at most {} are allowed",
                       request.request_id().size(), kMostIdBytes);
  }
  if (request.rewards_size() > kMostRewards) {
    return fmt::format("{} rewards in a request, at most {} are allowed", request.rewards_size(),
                       kMostRewards);
  }
  if (request.items_size() > kMostItems) {
    return fmt::format("{} items in a request, at most {} are allowed; send several requests",
                       request.items_size(), kMostItems);
  }
  return std::nullopt;
}

}  // namespace

// All of it runs on the loop's own thread, but for Start, Stop and the atomics.
class Service::Loop {
 public:
  Loop(zmq::socket_t socket, std::unique_ptr<ScoringPool> pool, ServiceOptions options)
      : socket_(std::move(socket)),
        pool_(std::move(pool)),
        options_(std::move(options)),
        replies_(options_.recent_replies, options_.recent_reply_bytes) {}

  void Start() {
    thread_ = std::thread([this] {
      // A message that runs out of memory must not end the service.
      while (!stopping_) {
        if (auto ran = Guard("reward service", [this] { Round(); }); !ran) {
          spdlog::error("{}", ran.error().message);
        }
      }
      while (!open_.empty())
        Refuse(open_.begin()->first, "the service is stopping");
      socket_.close();
    });
  }

  void Stop() {
    stopping_ = true;
    if (thread_.joinable()) {
      pool_->Wake();
      thread_.join();
    }
    pool_->Stop(options_.stop_grace);
  }

  [[nodiscard]] const std::vector<std::string>& endpoints() const { return options_.endpoints; }
  [[nodiscard]] ServiceCounters counters() const {
    return {.queued = pool_->queued(), .scored = scored_, .failed = failed_};
  }

 private:
  void Round() {
    std::array<zmq::pollitem_t, 2> items = {
        zmq::pollitem_t{socket_.handle(), 0, ZMQ_POLLIN, 0},
        zmq::pollitem_t{nullptr, pool_->wake_fd(), ZMQ_POLLIN, 0}};
    Poll(items, NextWait());
    for (const auto& job : pool_->TakeFinished())
      Reply(job->request().request_id());
    CloseOverdue();
    // Bounded, so that a flood of messages cannot keep replies from going out.
    for (int i = 0; i < 64 && !stopping_; ++i) {
      Frames frames;
      if (!zmq::recv_multipart(socket_, std::back_inserter(frames), zmq::recv_flags::dontwait))
        return;
      Handle(frames);
    }
  }

  [[nodiscard]] std::chrono::milliseconds NextWait() const {
    std::chrono::milliseconds wait(1000);
    for (const auto& [id, open] : open_)
      wait = std::min(wait, open.job->deadline().left());
    return wait;
  }

  void CloseOverdue() {
    std::vector<std::string> overdue;
    for (const auto& [id, open] : open_) {
      if (open.job->deadline().passed()) overdue.push_back(id);
    }
    for (const auto& id : overdue)
      Reply(id);
  }

  void Handle(Frames& frames) {
    const Route route{frames.front().to_string(), frames.size() == 3 && frames[1].size() == 0};
    proto::Envelope envelope;
    const zmq::message_t& body = frames.back();
    if (frames.size() != 2 && !route.delimiter) {
      return SendError(route, {},
                       fmt::format("a message is one frame with one Envelope, not {} frames",
                                   frames.size() - 1));
    }
    if (body.size() > static_cast<std::size_t>(kMostMessageBytes)) {
      return SendError(route, {}, fmt::format("a message of {} bytes is too large", body.size()));
    }
    if (!ParseEnvelope(body.data(), body.size(), &envelope)) {
      return SendError(route, {},
                       fmt::format("{} bytes that are no Envelope of proto/rewards.proto (text "
                                   "fields must be UTF-8)",
                                   body.size()));
    }
    if (envelope.wire_version() != kWireVersion) {
      return SendError(route, envelope.score_request().request_id(),
                       fmt::format("wire version {} was sent, this service speaks version {}",
                                   envelope.wire_version(), kWireVersion));
    }
    if (envelope.has_heartbeat()) return Answer(route, envelope.heartbeat());
    if (!envelope.has_score_request()) {
      return SendError(route, {}, "only a score_request or a heartbeat can be answered");
    }
    Accept(route, std::move(*envelope.mutable_score_request()), body.size());
  }

  void Answer(const Route& route, const proto::Heartbeat& heartbeat) {
    auto envelope = NewEnvelope();
    auto* answer = envelope.mutable_heartbeat();
    answer->set_sequence(heartbeat.sequence());
    const ServiceCounters now = counters();
    answer->set_queued(now.queued);
    answer->set_scored(now.scored);
    answer->set_failed(now.failed);
    Send(route, envelope.SerializeAsString());
  }

  void Accept(const Route& route, proto::ScoreRequest request, std::size_t bytes) {
    const std::string id = request.request_id();
    if (const auto fault = RequestFault(request)) {
      return SendError(route, id.substr(0, kMostIdBytes), *fault);
    }
    const std::size_t fingerprint = Fingerprint(request);
    constexpr std::string_view kReused = "this request_id was used for another request";
    if (const auto* known = replies_.Find(id)) {
      if (known->fingerprint != fingerprint) return SendError(route, id, kReused);
      return Send(route, known->bytes);
    }
    if (const auto found = open_.find(id); found != open_.end()) {
      auto& routes = found->second.routes;
      if (found->second.fingerprint != fingerprint) return SendError(route, id, kReused);
      if (std::find(routes.begin(), routes.end(), route) == routes.end()) routes.push_back(route);
      return;
    }
    if (open_.size() >= options_.most_requests ||
        open_bytes_ + bytes > options_.most_request_bytes) {
      return SendError(
          route, id,
          fmt::format("the queue is full: {} requests of {} bytes; send it again later "
                      "or to another service",
                      open_.size(), open_bytes_));
    }
    const auto asked = request.deadline_ms() == 0
                           ? options_.default_deadline
                           : std::chrono::milliseconds(request.deadline_ms());
    const auto budget = std::min(asked, options_.longest_deadline);
    auto job = std::make_shared<Job>(std::move(request), Deadline::After(budget), budget);
    open_.emplace(id, Open{job, {route}, fingerprint, bytes});
    open_bytes_ += bytes;
    pool_->Add(std::move(job));
  }

  // Sends what there is of a request to everybody who asked, once.
  void Reply(const std::string& id) {
    const auto found = open_.find(id);
    if (found == open_.end()) return;
    auto envelope = NewEnvelope();
    *envelope.mutable_score_reply() = found->second.job->Close();
    for (const auto& item : envelope.score_reply().items()) {
      ++scored_;
      for (const auto& outcome : item.outcomes())
        failed_ += outcome.has_failure() ? 1 : 0;
    }
    std::string bytes = envelope.SerializeAsString();
    for (const auto& route : found->second.routes)
      Send(route, bytes);
    replies_.Add(id, {found->second.fingerprint, std::move(bytes)});
    Forget(found);
  }

  void Refuse(const std::string& id, std::string_view detail) {
    const auto found = open_.find(id);
    for (const auto& route : found->second.routes)
      SendError(route, id, detail);
    found->second.job->Close();
    Forget(found);
  }

  void Forget(std::unordered_map<std::string, Open>::iterator found) {
    open_bytes_ -= found->second.bytes;
    open_.erase(found);
  }

  void SendError(const Route& route, const std::string& id, std::string_view detail) {
    auto envelope = NewEnvelope();
    if (!id.empty()) envelope.mutable_error()->set_request_id(id);
    envelope.mutable_error()->set_detail(std::string(detail));
    Send(route, envelope.SerializeAsString());
  }

  // Never waits: a peer that is gone, or does not read, loses its message and asks again.
  void Send(const Route& route, const std::string& bytes) {
    Frames frames;
    frames.emplace_back(route.identity.data(), route.identity.size());
    if (route.delimiter) frames.emplace_back();
    frames.emplace_back(bytes.data(), bytes.size());
    for (std::size_t i = 0; i < frames.size(); ++i) {
      const auto more = i + 1 < frames.size() ? zmq::send_flags::sndmore : zmq::send_flags::none;
      const auto sent = Guard("reward service: sending", [&] {
        return socket_.send(frames[i], more | zmq::send_flags::dontwait).has_value();
      });
      if (!sent || !*sent) return;
    }
  }

  zmq::socket_t socket_;
  std::unique_ptr<ScoringPool> pool_;
  ServiceOptions options_;
  RecentReplies replies_;
  std::unordered_map<std::string, Open> open_;
  std::size_t open_bytes_ = 0;
  std::atomic<std::uint64_t> scored_ = 0;
  std::atomic<std::uint64_t> failed_ = 0;
  std::atomic<bool> stopping_ = false;
  std::thread thread_;
};

namespace {

Status BindOnce(zmq::socket_t* socket, const std::string& endpoint) {
  AHA_TRY(CheckIpcIsFree(endpoint));
  try {
    socket->set(zmq::sockopt::ipv6, endpoint.starts_with("tcp://["));
    socket->bind(endpoint);
  } catch (const zmq::error_t& e) {
    return Fail(e.num() == EADDRINUSE ? Code::kBusy : Code::kInvalidArgument,
                "{}: cannot be bound: {}", endpoint, e.what());
  }
  return {};
}

// ZeroMQ closes listeners in the background: an endpoint that a service has just left may still be
// taken for a moment.
Result<std::string> Bind(zmq::socket_t* socket, const std::string& wanted) {
  AHA_ASSIGN(const std::string endpoint, CheckEndpoint(wanted, "rewards"));
  const Deadline freed = Deadline::After(std::chrono::milliseconds(300));
  Status bound = BindOnce(socket, endpoint);
  while (!bound && bound.error().code == Code::kBusy && !freed.passed()) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    bound = BindOnce(socket, endpoint);
  }
  AHA_TRY(bound);
  return socket->get(zmq::sockopt::last_endpoint);
}

}  // namespace

Result<std::unique_ptr<Service>> Service::Start(zmq::context_t& context,
                                                const Registry& registry,
                                                ServiceOptions options) {
  if (options.endpoints.empty()) {
    return Fail(Code::kInvalidArgument, "reward service: no endpoint to bind was given");
  }
  if (options.threads < 1 || options.threads > 4096) {
    return Fail(Code::kInvalidArgument, "reward service: {} threads; give 1 to 4096",
                options.threads);
  }
  return Guard("reward service", [&]() -> Result<std::unique_ptr<Service>> {
    zmq::socket_t socket(context, zmq::socket_type::router);
    socket.set(zmq::sockopt::linger, 200);
    socket.set(zmq::sockopt::maxmsgsize, kMostMessageBytes);
    for (auto& endpoint : options.endpoints) {
      AHA_ASSIGN(endpoint, Bind(&socket, endpoint));
    }
    const SignalsBlocked blocked;
    AHA_ASSIGN(auto pool, ScoringPool::Start(registry, options.threads));
    auto loop = std::make_unique<Loop>(std::move(socket), std::move(pool), std::move(options));
    loop->Start();
    return std::unique_ptr<Service>(new Service(std::move(loop)));
  });
}

Service::Service(std::unique_ptr<Loop> loop) : loop_(std::move(loop)) {}
Service::~Service() {
  Stop();
}
const std::vector<std::string>& Service::endpoints() const {
  return loop_->endpoints();
}
ServiceCounters Service::counters() const {
  return loop_->counters();
}
void Service::Stop() {
  loop_->Stop();
}

}  // namespace aha::rewards
