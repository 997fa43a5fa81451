#pragma once
/// One request on its way through the service.

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include <google/protobuf/arena.h>

#include "base/deadline.h"
#include "proto/rewards.pb.h"
#include "rewards/registry.h"
#include "rewards/service/statistics.h"

namespace aha::rewards {

/// A parsed request with the memory that it lies in.
struct ParsedRequest {
  std::unique_ptr<google::protobuf::Arena> arena;
  const proto::ScoreRequest* request = nullptr;  ///< in `arena`
};

/// One request being scored by any number of threads: its outcomes are cells, item by item with one
/// a reward, which fill up in any order. Each lane has cells of its own.
class Job {
 public:
  using Clock = Deadline::Clock;
  Job(ParsedRequest parsed, std::chrono::milliseconds budget, const Registry& registry);

  [[nodiscard]] const proto::ScoreRequest& request() const { return *parsed_.request; }
  [[nodiscard]] const std::string& id() const { return parsed_.request->request_id(); }
  [[nodiscard]] const Deadline& deadline() const { return deadline_; }
  [[nodiscard]] std::size_t cells() const { return cells_.size(); }

  /// The rewards of a lane, as indices into the request's.
  [[nodiscard]] const std::vector<int>& rewards(Lane lane) const { return Of(lane).rewards; }
  /// The next piece of work of a lane for the calling thread: an item, or for kBatch an index into
  /// rewards(lane). nullopt: all are taken, or the job is closed.
  std::optional<int> Claim(Lane lane);
  [[nodiscard]] bool begun() const;

  /// Fills a cell; true when it was the last. Too late, after Close, it is dropped.
  bool Finish(int item, int reward, Outcome outcome);

  /// Ends the job, once: the reply's bytes, in which every cell that is empty is a TIMEOUT failure
  /// that says whether it was begun. nullopt when it has been closed before. Nothing is taken
  /// after.
  std::optional<std::string> Close(Statistics* statistics);
  [[nodiscard]] bool closed() const { return closed_; }
  /// The outcome of a cell that the deadline cut off.
  [[nodiscard]] Outcome TimedOut(int reward, bool begun) const;

  /// The reply that the thread which finished last leaves for the socket's thread.
  std::string reply;

 private:
  struct Part {
    std::vector<int> rewards;
    std::atomic<int> next = 0;
    int end = 0;
  };
  [[nodiscard]] const Part& Of(Lane lane) const { return parts_[static_cast<std::size_t>(lane)]; }

  const ParsedRequest parsed_;
  const Clock::time_point arrived_ = Clock::now();
  const std::chrono::milliseconds budget_;
  const Deadline deadline_;
  std::array<Part, kLanes> parts_;
  std::vector<Lane> lane_of_;  // of a reward
  std::atomic<bool> closed_ = false;
  std::mutex mutex_;  // guards all below
  std::vector<Outcome> cells_;
  std::size_t missing_;
};

}  // namespace aha::rewards
