#pragma once
/// The thread that serves a reward service's socket: takes requests in, hands replies out, and
/// never waits for a verifier.

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include <zmq.hpp>

#include "rewards/service/job.h"
#include "rewards/service/monitor.h"
#include "rewards/service/replies.h"
#include "rewards/service/server.h"
#include "rewards/service/work.h"

namespace aha::rewards {

/// All of it runs on the loop's own thread, but for Start, Drain, Stop and the atomics.
class Service::Loop {
 public:
  /// What the loop's socket needs to live; destroyed in reverse.
  struct Parts {
    std::unique_ptr<zmq::context_t> own_context;  // with CURVE
    std::unique_ptr<Doorkeeper> doorkeeper;       // with CURVE
    zmq::socket_t socket;
    std::optional<Monitor> monitor;  // with CURVE
    std::unique_ptr<ScoringPool> pool;
  };
  Loop(Parts parts,
       const Registry& registry,
       std::shared_ptr<Statistics> statistics,
       ServiceOptions options);

  void Start();
  bool Drain(std::chrono::milliseconds patience);
  void Stop();
  [[nodiscard]] const std::vector<std::string>& endpoints() const { return options_.endpoints; }
  [[nodiscard]] ServiceCounters counters() const;

 private:
  using Clock = Deadline::Clock;
  // Identity of the peer, and whether it put an empty frame before its message, as a REQ socket
  // does.
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
    std::multimap<Clock::time_point, std::string>::iterator due;
  };
  using OpenRequests = std::unordered_map<std::string, Open>;

  void Run();
  void Round();
  [[nodiscard]] std::chrono::milliseconds NextWait() const;
  void CloseOverdue();
  void ReportRefusals();

  void Handle(std::vector<zmq::message_t>& frames);
  void Accept(const Route& route, ParsedRequest parsed, std::size_t bytes);
  /// True when the request has been here before: it is answered, or joined to the first.
  bool IsRetry(const Route& route, const std::string& id, std::size_t fingerprint);
  void Answer(const Route& route, const proto::Heartbeat& heartbeat);
  void AnswerStatus(const Route& route);

  void Reply(const std::shared_ptr<Job>& job, std::string bytes);
  void Refuse(OpenRequests::iterator found, std::string_view detail);
  void Forget(OpenRequests::iterator found);
  void SendError(const Route& route,
                 const std::string& id,
                 proto::ServiceError::Kind kind,
                 std::string_view detail);
  void Send(const Route& route, const std::string& bytes);

  Parts parts_;
  const Registry registry_;
  const std::shared_ptr<Statistics> statistics_;
  const ServiceOptions options_;
  const Clock::time_point start_ = Clock::now();
  RecentReplies replies_;
  OpenRequests open_;
  std::multimap<Clock::time_point, std::string> due_;
  std::size_t open_bytes_ = 0;
  std::uint64_t retries_ = 0;
  std::uint64_t refused_busy_ = 0;
  std::uint64_t refused_other_ = 0;
  Clock::time_point next_watch_;
  std::atomic<std::size_t> open_count_ = 0;
  std::atomic<bool> draining_ = false;
  std::atomic<bool> stopping_ = false;
  std::thread thread_;
};

}  // namespace aha::rewards
