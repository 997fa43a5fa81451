#pragma once
/// The threads that score, behind the service's socket. Knows requests and outcomes, no sockets.

#include <chrono>
#include <cstddef>
#include <memory>
#include <vector>

#include "base/result.h"
#include "rewards/registry.h"
#include "rewards/service/job.h"

namespace aha::rewards {

/// Threads of each lane.
struct PoolThreads {
  int pure = 1;       ///< that run pure verifiers
  int processes = 1;  ///< that wait for sandboxes and isolated plug-ins
};

/// Owns the scoring threads: those of one lane never wait for another's. Its methods are for one
/// thread, that of the socket.
class ScoringPool {
 public:
  /// Copies the registry: a verifier that hangs may outlive the service. kExhausted when the
  /// machine gives no more threads or descriptors.
  static Result<std::unique_ptr<ScoringPool>> Start(const Registry& registry,
                                                    PoolThreads threads,
                                                    std::shared_ptr<Statistics> statistics);
  ~ScoringPool();

  void Add(std::shared_ptr<Job> job);
  /// Readable when TakeFinished has something.
  [[nodiscard]] int wake_fd() const;
  /// Jobs that are closed with their `reply` set, each once.
  std::vector<std::shared_ptr<Job>> TakeFinished();
  /// Jobs that no thread has begun.
  [[nodiscard]] std::size_t queued() const;
  /// Makes wake_fd readable from any thread.
  void Wake() const;

  /// Starts a thread for each one that has been with an item for more than a second beyond its
  /// request's deadline: a verifier that hangs must not stop the others. At most 64 in all.
  void ReplaceStuck();
  [[nodiscard]] std::size_t stuck() const;

  /// Drops what is queued and joins the threads. One whose verifier does not return within `grace`
  /// is logged as an error and left to itself; it touches nothing of ours afterwards.
  void Stop(std::chrono::milliseconds grace);

 private:
  struct State;
  struct Worker;
  explicit ScoringPool(std::shared_ptr<State> state) : state_(std::move(state)) {}
  static void Work(const std::shared_ptr<State>& state, const std::shared_ptr<Worker>& self);
  void StartWorker(Lane lane);

  std::shared_ptr<State> state_;
  std::vector<std::shared_ptr<Worker>> workers_;
};

}  // namespace aha::rewards
