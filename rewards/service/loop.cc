#include "rewards/service/loop.h"

#include <algorithm>
#include <array>

#include <zmq_addon.hpp>

#include "base/log.h"
#include "rewards/service/socket.h"
#include "rewards/service/wire.h"

namespace aha::rewards {
namespace {

using std::chrono::milliseconds;
using Error = proto::ServiceError;
constexpr milliseconds kWatchEvery{500};

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

Service::Loop::Loop(Parts parts,
                    const Registry& registry,
                    std::shared_ptr<Statistics> statistics,
                    ServiceOptions options)
    : parts_(std::move(parts)),
      registry_(registry),
      statistics_(std::move(statistics)),
      options_(std::move(options)),
      replies_({.count = options_.recent_replies,
                .bytes = options_.recent_reply_bytes,
                .age = options_.recent_reply_age}) {}

void Service::Loop::Start() {
  thread_ = std::thread([this] { Run(); });
}

void Service::Loop::Run() {
  // A message that runs out of memory must not end the service.
  while (!stopping_) {
    if (auto ran = Guard("reward service", [this] { Round(); }); !ran) {
      spdlog::error("{}", ran.error().message);
    }
  }
  while (!open_.empty())
    Refuse(open_.begin(), "the service is stopping");
  parts_.monitor.reset();
  parts_.socket.close();
}

bool Service::Loop::Drain(milliseconds patience) {
  draining_ = true;
  const Deadline deadline = Deadline::After(patience);
  while (open_count_ > 0 && !deadline.passed())
    std::this_thread::sleep_for(std::min(deadline.left(), milliseconds(10)));
  return open_count_ == 0;
}

void Service::Loop::Stop() {
  stopping_ = true;
  if (thread_.joinable()) {
    parts_.pool->Wake();
    thread_.join();
  }
  parts_.pool->Stop(options_.stop_grace);
  parts_.doorkeeper.reset();
}

ServiceCounters Service::Loop::counters() const {
  return {.queued = parts_.pool->queued(),
          .scored = statistics_->items(),
          .failed = statistics_->failed()};
}

void Service::Loop::Round() {
  std::array<zmq::pollitem_t, 2> items = {
      zmq::pollitem_t{parts_.socket.handle(), 0, ZMQ_POLLIN, 0},
      zmq::pollitem_t{nullptr, parts_.pool->wake_fd(), ZMQ_POLLIN, 0}};
  Poll(items, NextWait());
  for (const auto& job : parts_.pool->TakeFinished())
    Reply(job, std::move(job->reply));
  CloseOverdue();
  if (Clock::now() >= next_watch_) {
    next_watch_ = Clock::now() + kWatchEvery;
    replies_.Expire();
    parts_.pool->ReplaceStuck();
    ReportRefusals();
  }
  // Bounded, so that a flood of messages cannot keep replies from going out.
  std::vector<zmq::message_t> frames;
  for (int i = 0; i < 64 && !stopping_; ++i) {
    frames.clear();
    if (!zmq::recv_multipart(parts_.socket, std::back_inserter(frames),
                             zmq::recv_flags::dontwait)) {
      return;
    }
    Handle(frames);
  }
}

milliseconds Service::Loop::NextWait() const {
  if (due_.empty()) return kWatchEvery;
  const auto left = std::chrono::ceil<milliseconds>(due_.begin()->first - Clock::now());
  return std::clamp(left, milliseconds(0), kWatchEvery);
}

void Service::Loop::CloseOverdue() {
  const auto now = Clock::now();
  // One that a scoring thread is closing at this moment comes with the finished ones instead.
  for (auto next = due_.begin(); next != due_.end() && next->first <= now;) {
    const auto job = open_.at((next++)->second).job;
    if (auto bytes = job->Close(statistics_.get())) Reply(job, *std::move(bytes));
  }
}

void Service::Loop::ReportRefusals() {
  if (!parts_.monitor) return;
  std::string last;
  std::size_t count = 0;
  while (auto event = parts_.monitor->Next()) {
    if (event->kind != ConnectionEvent::Kind::kRefused) continue;
    ++count;
    last = std::move(event->detail);
  }
  if (count > 0) {
    spdlog::warn("reward service: refused {} connections, the last because {}", count, last);
  }
}

void Service::Loop::Handle(std::vector<zmq::message_t>& frames) {
  const Route route{frames.front().to_string(), frames.size() == 3 && frames[1].size() == 0};
  const zmq::message_t& body = frames.back();
  if (frames.size() != 2 && !route.delimiter) {
    return SendError(
        route, {}, Error::MALFORMED,
        fmt::format("a message is one frame with one Envelope, not {} frames", frames.size() - 1));
  }
  ParsedRequest parsed{.arena = std::make_unique<google::protobuf::Arena>()};
  auto* envelope = google::protobuf::Arena::CreateMessage<proto::Envelope>(parsed.arena.get());
  if (!ParseEnvelope(body.data(), body.size(), envelope)) {
    return SendError(route, {}, Error::MALFORMED,
                     fmt::format("{} bytes that are no Envelope of proto/rewards.proto (text "
                                 "fields must be UTF-8)",
                                 body.size()));
  }
  if (envelope->wire_version() != kWireVersion) {
    return SendError(route, envelope->score_request().request_id(), Error::WRONG_VERSION,
                     fmt::format("wire version {} was sent, this service speaks version {}",
                                 envelope->wire_version(), kWireVersion));
  }
  if (envelope->has_heartbeat()) return Answer(route, envelope->heartbeat());
  if (envelope->has_status_request()) return AnswerStatus(route);
  if (!envelope->has_score_request()) {
    return SendError(route, {}, Error::BAD_REQUEST,
                     "only a score_request or a heartbeat can be answered, or a status_request");
  }
  parsed.request = &envelope->score_request();
  Accept(route, std::move(parsed), body.size());
}

void Service::Loop::Answer(const Route& route, const proto::Heartbeat& heartbeat) {
  auto envelope = NewEnvelope();
  auto* answer = envelope.mutable_heartbeat();
  answer->set_sequence(heartbeat.sequence());
  const ServiceCounters now = counters();
  answer->set_queued(now.queued);
  answer->set_scored(now.scored);
  answer->set_failed(now.failed);
  Send(route, Serialize(envelope));
}

void Service::Loop::AnswerStatus(const Route& route) {
  auto envelope = NewEnvelope();
  auto* status = envelope.mutable_status();
  statistics_->Into(status);
  status->set_uptime_ms(static_cast<std::uint64_t>(
      std::chrono::duration_cast<milliseconds>(Clock::now() - start_).count()));
  status->set_threads(static_cast<std::uint32_t>(options_.threads));
  status->set_process_slots(static_cast<std::uint32_t>(options_.process_slots));
  status->set_stuck_threads(static_cast<std::uint32_t>(parts_.pool->stuck()));
  status->set_draining(draining_);
  status->set_queued(parts_.pool->queued());
  status->set_open(open_.size());
  status->set_open_bytes(open_bytes_);
  status->set_retries(retries_);
  status->set_refused_busy(refused_busy_);
  status->set_refused_other(refused_other_);
  status->set_kept_replies(replies_.count());
  status->set_kept_reply_bytes(replies_.bytes());
  Send(route, Serialize(envelope));
}

bool Service::Loop::IsRetry(const Route& route, const std::string& id, std::size_t fingerprint) {
  constexpr std::string_view kReused = "this request_id was used for another request";
  if (const auto* known = replies_.Find(id)) {
    if (known->fingerprint != fingerprint)
      return SendError(route, id, Error::REUSED_ID, kReused), true;
    ++retries_;
    return Send(route, known->bytes), true;
  }
  const auto found = open_.find(id);
  if (found == open_.end()) return false;
  if (found->second.fingerprint != fingerprint)
    return SendError(route, id, Error::REUSED_ID, kReused), true;
  ++retries_;
  auto& routes = found->second.routes;
  if (std::find(routes.begin(), routes.end(), route) == routes.end()) routes.push_back(route);
  return true;
}

void Service::Loop::Accept(const Route& route, ParsedRequest parsed, std::size_t bytes) {
  const proto::ScoreRequest& request = *parsed.request;
  const std::string& id = request.request_id();
  if (const auto fault = RequestFault(request)) {
    return SendError(route, id.substr(0, kMostIdBytes), Error::BAD_REQUEST, *fault);
  }
  const std::size_t fingerprint = Fingerprint(request);
  if (IsRetry(route, id, fingerprint)) return;
  if (draining_) return SendError(route, id, Error::STOPPING, "the service is stopping");
  if (open_.size() >= options_.most_requests || open_bytes_ + bytes > options_.most_request_bytes) {
    return SendError(route, id, Error::BUSY,
                     fmt::format("the queue is full: {} requests of {} bytes; send it again later "
                                 "or to another service",
                                 open_.size(), open_bytes_));
  }
  const auto asked =
      request.deadline_ms() == 0 ? options_.default_deadline : milliseconds(request.deadline_ms());
  auto job = std::make_shared<Job>(std::move(parsed), std::min(asked, options_.longest_deadline),
                                   registry_);
  const auto due = due_.emplace(job->deadline().at(), job->id());
  open_.emplace(job->id(), Open{job, {route}, fingerprint, bytes, due});
  open_bytes_ += bytes;
  open_count_ = open_.size();
  parts_.pool->Add(std::move(job));
}

// Sends a reply to everybody who asked, once.
void Service::Loop::Reply(const std::shared_ptr<Job>& job, std::string bytes) {
  const auto found = open_.find(job->id());
  if (found == open_.end() || found->second.job != job) return;
  for (const auto& route : found->second.routes)
    Send(route, bytes);
  replies_.Add(job->id(), {found->second.fingerprint, std::move(bytes)});
  Forget(found);
}

void Service::Loop::Refuse(OpenRequests::iterator found, std::string_view detail) {
  for (const auto& route : found->second.routes)
    SendError(route, found->first, Error::STOPPING, detail);
  found->second.job->Close(nullptr);
  Forget(found);
}

void Service::Loop::Forget(OpenRequests::iterator found) {
  due_.erase(found->second.due);
  open_bytes_ -= found->second.bytes;
  open_.erase(found);
  open_count_ = open_.size();
}

void Service::Loop::SendError(const Route& route,
                              const std::string& id,
                              Error::Kind kind,
                              std::string_view detail) {
  ++(kind == Error::BUSY ? refused_busy_ : refused_other_);
  auto envelope = NewEnvelope();
  if (!id.empty()) envelope.mutable_error()->set_request_id(id);
  envelope.mutable_error()->set_kind(kind);
  envelope.mutable_error()->set_detail(std::string(detail));
  Send(route, Serialize(envelope));
}

// Never waits: a peer that is gone, or does not read, loses its message and asks again.
void Service::Loop::Send(const Route& route, const std::string& bytes) {
  const auto part = [&](std::string_view frame, bool more) {
    zmq::message_t message(frame.data(), frame.size());
    const auto flags = zmq::send_flags::dontwait;
    const auto sent = Guard("reward service: sending", [&] {
      return parts_.socket.send(message, more ? flags | zmq::send_flags::sndmore : flags)
          .has_value();
    });
    return sent && *sent;
  };
  if (!part(route.identity, true)) return;
  if (route.delimiter && !part({}, true)) return;
  part(bytes, false);
}

}  // namespace aha::rewards
