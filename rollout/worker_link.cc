#include "rollout/worker_link.h"

#include <algorithm>
#include <array>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <utility>

#include "base/deadline.h"
#include "base/endpoint.h"
#include "base/log.h"
#include "rollout/wire.h"

namespace aha::rollout {
namespace {

using Clock = Deadline::Clock;
using std::chrono::milliseconds;

double Seconds(Clock::duration span) {
  return std::chrono::duration<double>(span).count();
}

}  // namespace

class WorkerLink::Loop {
 public:
  Loop(zmq::context_t& context, LinkOptions options)
      : context_(context), options_(std::move(options)) {
    thread_ = std::thread([this] {
      const Status ran = Guard("rollout worker: its link", [this] { Serve(); });
      socket_.close();
      if (!ran) End(tl::unexpected<Error>(ran.error()));
    });
  }
  ~Loop() { Leave("it ended"); }

  std::optional<Job> Next() {
    std::unique_lock lock(mutex_);
    while (!outcome_ && jobs_.empty())
      changed_.wait_for(lock, milliseconds(1000));
    if (outcome_) return {};
    while (jobs_.size() > 1 && jobs_[0].envelope.has_weights() && jobs_[1].envelope.has_weights()) {
      jobs_.pop_front();
    }
    Job job = std::move(jobs_.front());
    jobs_.pop_front();
    return job;
  }

  void Tell(std::optional<std::uint64_t> weights_version, std::optional<std::uint64_t> unit) {
    const std::lock_guard lock(mutex_);
    beat_.Clear();
    if (weights_version) beat_.mutable_beat()->set_weights_version(*weights_version);
    if (unit) beat_.mutable_beat()->set_unit(*unit);
  }

  void Reply(const Job& job, proto::SampleReply reply) {
    proto::WorkerEnvelope envelope;
    *envelope.mutable_reply() = std::move(reply);
    {
      const std::lock_guard lock(mutex_);
      if (job.connection != connection_) return;
      outgoing_.push_back(envelope.SerializeAsString());
    }
    wake_.Ring();
  }

  void Leave(const std::string& why) {
    {
      const std::lock_guard lock(mutex_);
      if (!leaving_) leaving_ = why;
    }
    wake_.Ring();
    if (thread_.joinable()) thread_.join();
  }

  Result<std::string> Outcome() {
    const std::lock_guard lock(mutex_);
    if (outcome_) return *outcome_;
    return Fail(Code::kInternal, "{}: the link to the learner is still open", options_.endpoint);
  }

 private:
  void Serve() {
    last_heard_ = Clock::now();
    Connect();
    while (true) {
      std::array<zmq::pollitem_t, 2> items = {zmq::pollitem_t{socket_.handle(), 0, ZMQ_POLLIN, 0},
                                              zmq::pollitem_t{nullptr, wake_.fd(), ZMQ_POLLIN, 0}};
      zmq::poll(items.data(), items.size(), std::max(options_.beat / 4, milliseconds(1)));
      wake_.Clear();
      if (!Receive()) return;
      if (!SendQueued()) return;
      const auto now = Clock::now();
      if (now - last_heard_ >= options_.patience) {
        return End(Fail(Code::kTimeout,
                        "{}: no word from a learner for {:.0f} s, worker {} gives up; is the run "
                        "still there, with this rollout_endpoint?",
                        options_.endpoint, Seconds(now - last_heard_), options_.name));
      }
      if (now - heard_here_ >= options_.silence) Connect();
      if (welcome_ && now >= next_beat_) Beat(now);
    }
  }

  // A new socket, and with it a new identity at the learner's end.
  void Connect() {
    if (welcome_) {
      spdlog::warn("{}: the learner has said nothing for {:.1f} s; connecting anew",
                   options_.endpoint, Seconds(Clock::now() - heard_here_));
    }
    socket_ = zmq::socket_t(context_, zmq::socket_type::dealer);
    socket_.set(zmq::sockopt::linger, 0);
    socket_.set(zmq::sockopt::maxmsgsize, kMostWorkerMessageBytes);
    socket_.set(zmq::sockopt::ipv6, options_.endpoint.starts_with("tcp://["));
    socket_.connect(options_.endpoint);
    {
      const std::lock_guard lock(mutex_);
      ++connection_;
      jobs_.clear();
      outgoing_.clear();
    }
    welcome_ = false;
    heard_here_ = Clock::now();
    proto::WorkerEnvelope envelope;
    proto::WorkerHello& hello = *envelope.mutable_hello();
    hello.set_worker(options_.name);
    hello.set_wire_version(kWorkerWireVersion);
    hello.set_numerics_version(options_.numerics_version);
    hello.set_kernel_target(options_.kernel_target);
    Send(envelope.SerializeAsString());
  }

  void Beat(Clock::time_point now) {
    next_beat_ = now + options_.beat;
    const std::lock_guard lock(mutex_);
    beat_.mutable_beat();
    Send(beat_.SerializeAsString());
  }

  // False once the link has ended.
  bool Receive() {
    zmq::message_t message;
    while (socket_.recv(message, zmq::recv_flags::dontwait)) {
      proto::WorkerEnvelope envelope;
      if (message.more() || !ParseWorkerEnvelope(message, &envelope)) {
        spdlog::debug("{}: ignored {} bytes that are no WorkerEnvelope", options_.endpoint,
                      message.size());
        continue;
      }
      last_heard_ = heard_here_ = Clock::now();
      if (envelope.has_stop()) {
        const proto::WorkerStop& stop = envelope.stop();
        End(stop.refused() ? Fail(Code::kInvalidArgument, "{}: the learner refuses worker {}: {}",
                                  options_.endpoint, options_.name, stop.reason())
                           : Result<std::string>(stop.reason()));
        return false;
      }
      if (!welcome_)
        spdlog::info("{}: a learner is there, worker {}", options_.endpoint, options_.name);
      welcome_ = true;
      if (!envelope.has_weights() && !envelope.has_request()) continue;
      const std::lock_guard lock(mutex_);
      jobs_.push_back({std::move(envelope), connection_});
      changed_.notify_all();
    }
    return true;
  }

  // False once the worker has left.
  bool SendQueued() {
    std::optional<std::string> leaving;
    std::deque<std::string> outgoing;
    {
      const std::lock_guard lock(mutex_);
      outgoing.swap(outgoing_);
      leaving = leaving_;
    }
    for (const std::string& bytes : outgoing)
      Send(bytes);
    if (!leaving) return true;
    proto::WorkerEnvelope envelope;
    envelope.mutable_stop()->set_reason(*leaving);
    socket_.set(zmq::sockopt::linger, 500);
    Send(envelope.SerializeAsString());
    End(*leaving);
    return false;
  }

  // Never waits: what a full queue drops, the learner misses and asks another for.
  void Send(const std::string& bytes) {
    (void)socket_.send(zmq::buffer(bytes), zmq::send_flags::dontwait);
  }

  void End(Result<std::string> outcome) {
    const std::lock_guard lock(mutex_);
    if (!outcome_) outcome_ = std::move(outcome);
    changed_.notify_all();
  }

  zmq::context_t& context_;
  const LinkOptions options_;
  WakeUp wake_;
  // The thread's own.
  zmq::socket_t socket_;
  bool welcome_ = false;          // the learner has answered on this connection
  Clock::time_point heard_here_;  // on this connection, or its start
  Clock::time_point last_heard_;  // on any, or the link's start
  Clock::time_point next_beat_;

  std::mutex mutex_;  // guards all below
  std::condition_variable changed_;
  std::deque<Job> jobs_;
  std::deque<std::string> outgoing_;
  proto::WorkerEnvelope beat_;
  std::uint64_t connection_ = 0;
  std::optional<std::string> leaving_;
  std::optional<Result<std::string>> outcome_;
  std::thread thread_;
};

Result<std::unique_ptr<WorkerLink>> WorkerLink::Start(zmq::context_t& context,
                                                      LinkOptions options) {
  AHA_ASSIGN(options.endpoint, CheckEndpoint(options.endpoint, "rollout workers"));
  return Guard("rollout worker", [&] {
    return std::unique_ptr<WorkerLink>(
        new WorkerLink(std::make_unique<Loop>(context, std::move(options))));
  });
}

WorkerLink::WorkerLink(std::unique_ptr<Loop> loop) : loop_(std::move(loop)) {}
WorkerLink::~WorkerLink() = default;
std::optional<WorkerLink::Job> WorkerLink::Next() {
  return loop_->Next();
}
void WorkerLink::Tell(std::optional<std::uint64_t> weights_version,
                      std::optional<std::uint64_t> unit) {
  loop_->Tell(weights_version, unit);
}
void WorkerLink::Reply(const Job& job, proto::SampleReply reply) {
  loop_->Reply(job, std::move(reply));
}
void WorkerLink::Leave(const std::string& why) {
  loop_->Leave(why);
}
Result<std::string> WorkerLink::Outcome() {
  return loop_->Outcome();
}

}  // namespace aha::rollout
