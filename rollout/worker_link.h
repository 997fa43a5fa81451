#pragma once
/// A worker's connection to its learner, kept by a thread of its own: hello, beats, reconnecting.

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include <zmq.hpp>

#include "base/result.h"
#include "proto/rollout.pb.h"

namespace aha::rollout {

struct LinkOptions {
  std::string endpoint;  ///< where the learner is bound
  std::string name;      ///< of this worker, host:pid
  std::uint64_t numerics_version = 0;
  std::string kernel_target;
  std::chrono::milliseconds beat{500};
  /// A learner that says nothing for so long is taken for restarted: connect and say hello again.
  std::chrono::milliseconds silence{5000};
  /// Without a word from a learner for so long, the worker gives up.
  std::chrono::milliseconds patience{60000};
};

/// A DEALER socket behind a queue. Its methods are for one thread, the one that decodes.
class WorkerLink {
 public:
  /// What the learner asks: weights or a request. The connection it came over: a reply goes back
  /// over the same one or not at all.
  struct Job {
    proto::WorkerEnvelope envelope;
    std::uint64_t connection = 0;
  };

  static Result<std::unique_ptr<WorkerLink>> Start(zmq::context_t& context, LinkOptions options);
  ~WorkerLink();
  WorkerLink(const WorkerLink&) = delete;
  WorkerLink& operator=(const WorkerLink&) = delete;

  /// The next job; of several weights in a row only the last. Waits as long as the link lives,
  /// which is bounded by `patience`; nothing once it has ended.
  std::optional<Job> Next();
  /// What the beats tell: the weights that are loaded, the unit in hand.
  void Tell(std::optional<std::uint64_t> weights_version, std::optional<std::uint64_t> unit);
  /// Dropped when the link has been renewed since `job`: the learner knows nothing of it any more.
  void Reply(const Job& job, proto::SampleReply reply);
  /// Says why to the learner, sends what is queued, and joins the thread.
  void Leave(const std::string& why);

  /// Why the link ended: the learner's reason for stopping; kTimeout: no learner for `patience`;
  /// kInvalidArgument: the learner refused this worker.
  Result<std::string> Outcome();

 private:
  class Loop;
  explicit WorkerLink(std::unique_ptr<Loop> loop);
  std::unique_ptr<Loop> loop_;
};

}  // namespace aha::rollout
