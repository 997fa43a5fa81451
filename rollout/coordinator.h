#pragma once
/// The learner's side of rollout workers: weights out by version, units of work out, completions
/// in.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <zmq.hpp>

#include "base/deadline.h"
#include "base/result.h"
#include "proto/rollout.pb.h"

namespace aha::rollout {

struct CoordinatorOptions {
  std::string endpoint;  ///< ipc://, inproc://, or tcp:// on the loopback; a tcp port may be *
  /// A worker with another of these two would give other bits: it is refused and told why.
  std::uint64_t numerics_version = 0;
  std::string kernel_target;
  /// A worker that says nothing for so long is dropped, and its unit goes to another.
  std::chrono::milliseconds silence{5000};
  /// A unit fails the run when so many workers were lost with it.
  int most_attempts = 5;
};

/// A ROUTER socket served by a thread of its own, so that workers hear from the learner while it
/// learns. Workers may join, leave or die at any time. All methods may be called from any thread,
/// Run by one at a time. Stop it before the ZeroMQ context is closed.
class Coordinator {
 public:
  /// Binds and starts. kInvalidArgument: an endpoint beyond this machine; kBusy: one in use.
  static Result<std::unique_ptr<Coordinator>> Start(zmq::context_t& context,
                                                    CoordinatorOptions options);
  ~Coordinator();
  Coordinator(const Coordinator&) = delete;
  Coordinator& operator=(const Coordinator&) = delete;

  /// Where it is bound, with the port resolved.
  [[nodiscard]] const std::string& endpoint() const;
  /// Names (host:pid) of the workers that are there, in order.
  [[nodiscard]] std::vector<std::string> workers() const;

  /// Waits until `count` workers are there. kTimeout: who came, and who was refused and why.
  Status WaitForWorkers(std::size_t count, Deadline deadline);

  /// Announces weights to all workers, and to those that join later. The folder stays until
  /// the next version's units are done or Withdraw is called.
  void Publish(const proto::WeightsUpdate& weights);
  /// There are no weights any more: workers that join get none.
  void Withdraw();

  /// Hands `units` to idle workers, one at a time each. Replies in the order of `units`; `on_unit`
  /// hears of each that is done, on the caller's thread.
  ///
  /// @param timeout  what a worker has for a unit, loading new weights included.
  /// Errors: kTimeout names the worker, its unit and for how long, or that nobody is there;
  /// kInvalidArgument for units of other weights than those published; kInternal for a unit that a
  /// worker could not do.
  Result<std::vector<proto::SampleReply>> Run(const std::vector<proto::SampleRequest>& units,
                                              std::chrono::milliseconds timeout,
                                              const std::function<void()>& on_unit = {});

  /// Tells the workers that it is over and joins the thread. Calling it again does nothing.
  void Stop(const std::string& reason);

 private:
  class Loop;
  explicit Coordinator(std::unique_ptr<Loop> loop);
  std::unique_ptr<Loop> loop_;
};

}  // namespace aha::rollout
