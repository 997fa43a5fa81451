#include "rollout/coordinator.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include <fmt/ranges.h>
#include <zmq_addon.hpp>

#include "base/endpoint.h"
#include "base/log.h"
#include "rollout/unit_board.h"
#include "rollout/wire.h"

namespace aha::rollout {
namespace {

using Clock = Deadline::Clock;
using std::chrono::milliseconds;
constexpr milliseconds kTick{100};           // between looks at the clock
constexpr std::size_t kDeparturesKept = 8;   // named in errors
constexpr int kStrangeMessagesLogged = 20;   // a peer cannot fill the log
constexpr std::size_t kMostNameBytes = 256;  // of a worker

double SecondsSince(Clock::time_point then) {
  return std::chrono::duration<double>(Clock::now() - then).count();
}

struct Work {
  std::uint64_t round = 0;
  std::size_t index = 0;   // on that round's board
  std::uint64_t unit = 0;  // as the request calls it
  std::uint64_t version = 0;
};

struct Peer {
  std::string name;
  Clock::time_point heard;
  std::optional<Work> work;
};

}  // namespace

// The thread runs Serve; the other public methods are the Coordinator's.
class Coordinator::Loop {
 public:
  Loop(zmq::socket_t socket, CoordinatorOptions options)
      : options_(std::move(options)), socket_(std::move(socket)) {
    thread_ = std::thread([this] {
      const Status ran = Guard("rollout coordinator", [this] { Serve(); });
      socket_.close();
      const std::lock_guard lock(mutex_);
      if (!ran) End(ran.error());
    });
  }

  [[nodiscard]] const std::string& endpoint() const { return options_.endpoint; }

  std::vector<std::string> Workers() {
    const std::lock_guard lock(mutex_);
    return Names();
  }

  Status WaitForWorkers(std::size_t count, Deadline deadline) {
    const auto start = Clock::now();
    std::unique_lock lock(mutex_);
    changed_.wait_until(lock, deadline.at(), [&] { return ended_ || peers_.size() >= count; });
    if (ended_) return tl::unexpected<Error>(*ended_);
    if (peers_.size() >= count) return {};
    return Fail(Code::kTimeout,
                "{}: {} of {} rollout workers came in {:.1f} s{}{}; start them with `aha rollout "
                "--connect {}`",
                endpoint(), peers_.size(), count, SecondsSince(start),
                peers_.empty() ? "" : fmt::format(": {}", fmt::join(Names(), ", ")), Departures(),
                endpoint());
  }

  void Publish(const proto::WeightsUpdate& weights) {
    const std::lock_guard lock(mutex_);
    weights_ = weights;
    to_announce_ = true;
    wake_.Ring();
  }

  void Withdraw() {
    const std::lock_guard lock(mutex_);
    weights_.reset();
    to_announce_ = false;
  }

  Result<std::vector<proto::SampleReply>> Run(const std::vector<proto::SampleRequest>& units,
                                              milliseconds timeout,
                                              const std::function<void()>& on_unit) {
    std::unique_lock lock(mutex_);
    AHA_TRY(CheckUnits(units));
    board_.emplace(units, timeout, options_.most_attempts);
    ++round_;
    wake_.Ring();
    std::size_t told = 0;
    while (true) {
      // Bounded: the thread looks at the board's clock, or has ended.
      changed_.wait_for(lock, milliseconds(1000),
                        [&] { return ended_ || board_->over() || board_->finished() > told; });
      const bool done = ended_ || board_->over();
      const std::size_t finished = board_->finished();
      lock.unlock();
      for (; told < finished; ++told) {
        if (on_unit) on_unit();
      }
      lock.lock();
      if (done) break;
    }
    if (ended_) board_->Fail(*ended_);
    auto replies = board_->TakeReplies();
    board_.reset();
    return replies;
  }

  void Stop(const std::string& reason) {
    {
      const std::lock_guard lock(mutex_);
      if (!stop_reason_) stop_reason_ = reason;
    }
    wake_.Ring();
    if (thread_.joinable()) thread_.join();
  }

 private:
  // --- under the mutex, any thread -------------------------------------------------------------

  [[nodiscard]] std::vector<std::string> Names() const {
    std::vector<std::string> names;
    for (const auto& [identity, peer] : peers_)
      names.push_back(peer.name);
    std::sort(names.begin(), names.end());
    return names;
  }

  // "; gone: box:12 (said nothing for 5.0 s), ...", or nothing.
  [[nodiscard]] std::string Departures() const {
    return gone_.empty() ? "" : fmt::format("; gone or refused: {}", fmt::join(gone_, ", "));
  }

  void NoteDeparture(const std::string& name, std::string_view why) {
    gone_.push_back(fmt::format("{} ({})", name, why));
    if (gone_.size() > kDeparturesKept) gone_.pop_front();
  }

  void End(const Error& error) {
    if (!ended_) ended_ = error;
    changed_.notify_all();
  }

  Status CheckUnits(const std::vector<proto::SampleRequest>& units) const {
    if (board_) return Fail(Code::kInternal, "{}: two rounds of units at a time", endpoint());
    for (const proto::SampleRequest& unit : units) {
      if (weights_ && unit.weights_version() == weights_->version()) continue;
      return Fail(Code::kInvalidArgument, "unit {} asks for weights version {}, published is {}",
                  unit.unit(), unit.weights_version(),
                  weights_ ? std::to_string(weights_->version()) : "none");
    }
    return {};
  }

  // --- the thread ------------------------------------------------------------------------------

  void Serve() {
    while (true) {
      std::array<zmq::pollitem_t, 2> items = {zmq::pollitem_t{socket_.handle(), 0, ZMQ_POLLIN, 0},
                                              zmq::pollitem_t{nullptr, wake_.fd(), ZMQ_POLLIN, 0}};
      zmq::poll(items.data(), items.size(), kTick);
      wake_.Clear();
      const std::lock_guard lock(mutex_);
      Receive();
      if (stop_reason_) return SayGoodbye();
      Bury();
      if (std::exchange(to_announce_, false)) {
        for (auto& [identity, peer] : peers_)
          SendWeights(identity);
      }
      HandOut();
      if (board_) {
        board_->CheckTime(!peers_.empty(), endpoint() + Departures());
        if (board_->over()) changed_.notify_all();
      }
    }
  }

  void Receive() {
    // Bounded, so that a flood of messages cannot keep units from going out.
    for (int i = 0; i < 256; ++i) {
      std::vector<zmq::message_t> frames;
      if (!zmq::recv_multipart(socket_, std::back_inserter(frames), zmq::recv_flags::dontwait)) {
        return;
      }
      const std::string identity = frames.front().to_string();
      proto::WorkerEnvelope envelope;
      if (frames.size() != 2 || !ParseWorkerEnvelope(frames.back(), &envelope)) {
        Ignore(identity, fmt::format("{} frames, the last of {} bytes, that are no WorkerEnvelope",
                                     frames.size() - 1, frames.back().size()));
        continue;
      }
      Handle(identity, envelope);
    }
  }

  void Handle(const std::string& identity, proto::WorkerEnvelope& envelope) {
    if (envelope.has_hello()) return Welcome(identity, envelope.hello());
    const auto found = peers_.find(identity);
    if (found == peers_.end()) {
      // One that was dropped, or that knew an earlier learner: silence makes it say hello again.
      if (envelope.has_beat()) return;
      return Ignore(identity, "a message from somebody who has not said hello");
    }
    found->second.heard = Clock::now();
    if (envelope.has_beat()) return (void)Send(identity, envelope);
    if (envelope.has_reply()) return TakeReply(found, *envelope.mutable_reply());
    if (envelope.has_stop()) return Drop(found, "it left: " + envelope.stop().reason());
    Ignore(identity, "a message that only a learner sends, or an empty one");
  }

  void Welcome(const std::string& identity, const proto::WorkerHello& hello) {
    const std::string name = hello.worker().substr(0, kMostNameBytes);
    if (const auto known = peers_.find(identity); known != peers_.end()) {
      Drop(known, "it started anew");
    }
    if (const std::string why = WhyRefused(hello); !why.empty()) {
      spdlog::warn("rollout worker {} is refused: {}", name, why);
      NoteDeparture(name, why);
      return Refuse(identity, why);
    }
    peers_[identity] = Peer{name, Clock::now(), {}};
    spdlog::info("rollout worker {} is here ({} now)", name, peers_.size());
    proto::WorkerEnvelope answer;
    answer.mutable_beat();
    Send(identity, answer);
    if (weights_) SendWeights(identity);
    changed_.notify_all();
  }

  [[nodiscard]] std::string WhyRefused(const proto::WorkerHello& hello) const {
    if (hello.wire_version() != kWorkerWireVersion) {
      return fmt::format("it speaks wire version {}, the learner {}", hello.wire_version(),
                         kWorkerWireVersion);
    }
    if (hello.numerics_version() != options_.numerics_version) {
      return fmt::format("its numerics version is {}, the learner's {}", hello.numerics_version(),
                         options_.numerics_version);
    }
    if (hello.kernel_target() != options_.kernel_target) {
      return fmt::format("its kernels are for '{}', the learner's for '{}'", hello.kernel_target(),
                         options_.kernel_target);
    }
    return {};
  }

  void TakeReply(std::map<std::string, Peer>::iterator from, proto::SampleReply& reply) {
    Peer& peer = from->second;
    if (!peer.work || peer.work->unit != reply.unit() ||
        peer.work->version != reply.weights_version()) {
      return Ignore(from->first,
                    fmt::format("worker {}: a reply to unit {} of weights {} that it does not have",
                                peer.name, reply.unit(), reply.weights_version()));
    }
    const Work work = *peer.work;
    if (!board_ || work.round != round_) {  // that round failed meanwhile
      peer.work.reset();
      return;
    }
    if (!reply.error().empty()) {
      peer.work.reset();
      board_->Fail({Code::kInternal, fmt::format("rollout worker {}, unit {}: {}", peer.name,
                                                 work.unit, reply.error())});
    } else if (const auto fault = ReplyFault(board_->request(work.index), reply)) {
      Refuse(from->first, "its reply does not fit the request: " + *fault);
      return Drop(from, "its reply does not fit the request: " + *fault);
    } else {
      peer.work.reset();
      board_->Finish(work.index, std::move(reply));
    }
    changed_.notify_all();
  }

  void HandOut() {
    if (!board_) return;
    for (auto& [identity, peer] : peers_) {
      if (peer.work) continue;
      const auto index = board_->Take(peer.name);
      if (!index) return;
      const proto::SampleRequest& request = board_->request(*index);
      peer.work = Work{round_, *index, request.unit(), request.weights_version()};
      proto::WorkerEnvelope envelope;
      *envelope.mutable_request() = request;
      // One that cannot be sent to is gone; its silence will tell, and the unit goes elsewhere.
      Send(identity, envelope);
    }
  }

  void Bury() {
    for (auto it = peers_.begin(); it != peers_.end();) {
      const auto next = std::next(it);
      if (Clock::now() - it->second.heard >= options_.silence) {
        Drop(it, fmt::format("said nothing for {:.1f} s", SecondsSince(it->second.heard)));
      }
      it = next;
    }
  }

  void Drop(std::map<std::string, Peer>::iterator which, const std::string& why) {
    const Peer peer = std::move(which->second);
    peers_.erase(which);
    NoteDeparture(peer.name, why);
    const bool open = peer.work && board_ && peer.work->round == round_;
    spdlog::warn("rollout worker {} is gone: {}{} ({} left)", peer.name, why,
                 open ? fmt::format("; unit {} goes to another", peer.work->unit) : "",
                 peers_.size());
    if (open) board_->Return(peer.work->index, why);
  }

  void Ignore(const std::string& identity, std::string_view what) {
    if (++strange_ > kStrangeMessagesLogged) return;
    spdlog::warn("{}: ignored from peer {:02x}: {}{}", endpoint(), fmt::join(Bytes(identity), ""),
                 what, strange_ == kStrangeMessagesLogged ? "; further ones are not logged" : "");
  }

  static std::vector<unsigned> Bytes(const std::string& text) {
    return {reinterpret_cast<const unsigned char*>(text.data()),
            reinterpret_cast<const unsigned char*>(text.data()) + text.size()};
  }

  void SendWeights(const std::string& identity) {
    proto::WorkerEnvelope envelope;
    *envelope.mutable_weights() = *weights_;
    Send(identity, envelope);
  }

  void Refuse(const std::string& identity, const std::string& why) {
    proto::WorkerEnvelope envelope;
    envelope.mutable_stop()->set_reason(why);
    envelope.mutable_stop()->set_refused(true);
    Send(identity, envelope);
  }

  void SayGoodbye() {
    proto::WorkerEnvelope envelope;
    envelope.mutable_stop()->set_reason(*stop_reason_);
    for (const auto& [identity, peer] : peers_)
      Send(identity, envelope);
    peers_.clear();
    End({Code::kInternal,
         fmt::format("{}: the coordinator was stopped: {}", endpoint(), *stop_reason_)});
  }

  // Never waits: a peer that is gone, or does not read, loses its message.
  void Send(const std::string& identity, const proto::WorkerEnvelope& envelope) {
    const std::array<zmq::const_buffer, 1> head = {zmq::buffer(identity)};
    const std::string bytes = envelope.SerializeAsString();
    (void)Guard("rollout coordinator: sending", [&] {
      if (!socket_.send(head[0], zmq::send_flags::sndmore | zmq::send_flags::dontwait)) return;
      (void)socket_.send(zmq::buffer(bytes), zmq::send_flags::dontwait);
    });
  }

  const CoordinatorOptions options_;
  zmq::socket_t socket_;  // the thread's
  WakeUp wake_;
  std::mutex mutex_;  // guards all below
  std::condition_variable changed_;
  std::map<std::string, Peer> peers_;  // by ZeroMQ's identity
  std::deque<std::string> gone_;       // the last who left, and why
  std::optional<proto::WeightsUpdate> weights_;
  bool to_announce_ = false;
  std::optional<UnitBoard> board_;  // while Run runs
  std::uint64_t round_ = 0;
  int strange_ = 0;
  std::optional<std::string> stop_reason_;
  std::optional<Error> ended_;
  std::thread thread_;
};

Result<std::unique_ptr<Coordinator>> Coordinator::Start(zmq::context_t& context,
                                                        CoordinatorOptions options) {
  AHA_ASSIGN(options.endpoint, CheckEndpoint(options.endpoint, "rollout workers"));
  AHA_TRY(CheckIpcIsFree(options.endpoint));
  return Guard("rollout coordinator", [&]() -> Result<std::unique_ptr<Coordinator>> {
    zmq::socket_t socket(context, zmq::socket_type::router);
    socket.set(zmq::sockopt::linger, 500);  // for the goodbyes
    socket.set(zmq::sockopt::maxmsgsize, kMostWorkerMessageBytes);
    socket.set(zmq::sockopt::ipv6, options.endpoint.starts_with("tcp://["));
    try {
      socket.bind(options.endpoint);
    } catch (const zmq::error_t& e) {
      return Fail(e.num() == EADDRINUSE ? Code::kBusy : Code::kInvalidArgument,
                  "{}: cannot be bound for rollout workers: {}", options.endpoint, e.what());
    }
    options.endpoint = socket.get(zmq::sockopt::last_endpoint);
    return std::unique_ptr<Coordinator>(
        new Coordinator(std::make_unique<Loop>(std::move(socket), std::move(options))));
  });
}

Coordinator::Coordinator(std::unique_ptr<Loop> loop) : loop_(std::move(loop)) {}
Coordinator::~Coordinator() {
  Stop("the learner has ended");
}
const std::string& Coordinator::endpoint() const {
  return loop_->endpoint();
}
std::vector<std::string> Coordinator::workers() const {
  return loop_->Workers();
}
Status Coordinator::WaitForWorkers(std::size_t count, Deadline deadline) {
  return loop_->WaitForWorkers(count, deadline);
}
void Coordinator::Publish(const proto::WeightsUpdate& weights) {
  loop_->Publish(weights);
}
void Coordinator::Withdraw() {
  loop_->Withdraw();
}
Result<std::vector<proto::SampleReply>> Coordinator::Run(
    const std::vector<proto::SampleRequest>& units,
    std::chrono::milliseconds timeout,
    const std::function<void()>& on_unit) {
  return loop_->Run(units, timeout, on_unit);
}
void Coordinator::Stop(const std::string& reason) {
  loop_->Stop(reason);
}

}  // namespace aha::rollout
