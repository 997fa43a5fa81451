#pragma once
/// The units of work of one round: which wait, who has which, what came back. No sockets here.

#include <chrono>
#include <cstddef>
#include <deque>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/deadline.h"
#include "base/result.h"
#include "proto/rollout.pb.h"

namespace aha::rollout {

/// Why `reply` cannot be the answer to `request`: another number of completions, a completion
/// without tokens, or not one log-probability a token. Nothing when it fits.
std::optional<std::string> ReplyFault(const proto::SampleRequest& request,
                                      const proto::SampleReply& reply);

/// Not thread-safe.
class UnitBoard {
 public:
  /// `units` is borrowed. `timeout` is what a worker has for a unit, and how long nobody may be
  /// there at all. A unit that `most_attempts` workers were lost with fails.
  UnitBoard(std::span<const proto::SampleRequest> units,
            std::chrono::milliseconds timeout,
            int most_attempts);

  /// Hands the first waiting unit to `worker`; its index.
  std::optional<std::size_t> Take(const std::string& worker);
  /// The worker of `unit` is lost: the unit waits again, before all others.
  void Return(std::size_t unit, std::string_view why);
  void Finish(std::size_t unit, proto::SampleReply reply);
  void Fail(Error error);
  /// Fails the round when a worker has had its unit for too long, or nobody was there for too long;
  /// `absent` then says who is missing.
  void CheckTime(bool anybody, const std::string& absent);

  [[nodiscard]] const proto::SampleRequest& request(std::size_t unit) const { return units_[unit]; }
  [[nodiscard]] std::size_t finished() const { return finished_; }
  [[nodiscard]] bool over() const { return error_ || finished_ == units_.size(); }
  /// Once it is over: the replies in the order of the units, or what went wrong.
  Result<std::vector<proto::SampleReply>> TakeReplies();

 private:
  using Clock = Deadline::Clock;
  struct Held {
    std::string worker;
    Clock::time_point since;
  };

  std::span<const proto::SampleRequest> units_;
  std::chrono::milliseconds timeout_;
  int most_attempts_;
  std::deque<std::size_t> waiting_;
  std::vector<std::optional<Held>> held_;  // by unit
  std::vector<int> attempts_;              // by unit
  std::vector<proto::SampleReply> replies_;
  std::size_t finished_ = 0;
  Clock::time_point somebody_;  // when a worker was last there
  std::optional<Error> error_;
};

}  // namespace aha::rollout
