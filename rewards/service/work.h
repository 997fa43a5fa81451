#pragma once
/// The threads that score, behind the service's socket. Knows requests and outcomes, no sockets.

#include <chrono>
#include <cstddef>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/deadline.h"
#include "proto/rewards.pb.h"
#include "rewards/registry.h"

namespace aha::rewards {

/// One request being scored, item by item, by any number of threads.
class Job {
 public:
  Job(proto::ScoreRequest request, Deadline deadline, std::chrono::milliseconds budget);

  [[nodiscard]] const proto::ScoreRequest& request() const { return request_; }
  [[nodiscard]] const Deadline& deadline() const { return deadline_; }

  /// Keeps the outcomes of item `index`; true when that was the last one missing. Too late, after
  /// Close, they are dropped.
  bool Finish(int index, proto::ItemOutcome outcome);
  /// Notes that a thread is at item `index`.
  void Begin(int index);
  /// The reply: every item in order. What has not been scored by now is a TIMEOUT failure that says
  /// whether it was begun. Nothing is taken after this.
  proto::ScoreReply Close();
  [[nodiscard]] bool closed() const;
  /// The outcome of a reward that the deadline cut off.
  [[nodiscard]] Outcome TimedOut(int reward, bool begun) const;

 private:
  const proto::ScoreRequest request_;
  const Deadline deadline_;
  const std::chrono::milliseconds budget_;
  mutable std::mutex mutex_;  // guards all below
  std::vector<proto::ItemOutcome> outcomes_;
  std::vector<char> begun_;
  std::vector<char> finished_;
  std::size_t missing_;
  bool closed_ = false;
};

/// Owns the scoring threads. Its methods are for one thread, that of the socket.
class ScoringPool {
 public:
  /// Copies the registry: a verifier that hangs may outlive the service. kExhausted when the
  /// machine gives no more threads or descriptors.
  static Result<std::unique_ptr<ScoringPool>> Start(const Registry& registry, int threads);
  ~ScoringPool();

  void Add(std::shared_ptr<Job> job);
  /// Readable when TakeFinished has something.
  [[nodiscard]] int wake_fd() const;
  /// Jobs whose items are all scored, each once.
  std::vector<std::shared_ptr<Job>> TakeFinished();
  /// Jobs that no thread has begun.
  [[nodiscard]] std::size_t queued() const;
  /// Makes wake_fd readable from any thread.
  void Wake() const;

  /// Drops what is queued and joins the threads. One whose verifier does not return within `grace`
  /// is logged as an error and left to itself; it touches nothing of ours afterwards.
  void Stop(std::chrono::milliseconds grace);

 private:
  struct State;
  struct Worker;
  explicit ScoringPool(std::shared_ptr<State> state) : state_(std::move(state)) {}
  static void Work(const std::shared_ptr<State>& state, const std::shared_ptr<Worker>& self);

  std::shared_ptr<State> state_;
  std::vector<std::shared_ptr<Worker>> workers_;
};

}  // namespace aha::rewards
