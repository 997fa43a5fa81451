#pragma once
/// A call of Client::Score, cut into requests.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <future>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/deadline.h"
#include "base/result.h"
#include "proto/rewards.pb.h"
#include "rewards/service/wire.h"

namespace aha::rewards {

struct Call;

/// Some items of a call, which travel together.
struct Batch {
  std::string request_id;
  RequestBytes message;
  std::vector<std::uint32_t> items;  ///< indices into the call's
  std::shared_ptr<Call> call;

  std::optional<std::size_t> peer;   ///< that has it now
  std::optional<std::size_t> avoid;  ///< that refused it last
  Deadline::Clock::time_point sent;
  Deadline::Clock::time_point not_before;
  std::chrono::milliseconds resend{0};
  std::chrono::milliseconds backoff{0};
};

/// What was asked and what is known so far. Made by the caller, then owned by the client's thread
/// until `promise` is kept.
struct Call {
  using Outcomes = std::vector<proto::ItemOutcome>;
  explicit Call(Deadline until) : deadline(until) {}

  const Deadline deadline;
  const Deadline::Clock::time_point start = Deadline::Clock::now();
  std::size_t rewards = 0;
  std::vector<std::string> ids;
  std::vector<std::uint64_t> sizes;  ///< of the completions, in bytes
  Outcomes outcomes;
  std::size_t open = 0;  ///< batches without a reply
  std::promise<Result<Outcomes>> promise;

  /// Gives an item one failure a reward.
  void Fill(std::size_t item, proto::Failure::Kind kind, const std::string& detail);
  /// Whether the reply has the batch's items and rewards, in order.
  [[nodiscard]] bool Fits(const Batch& batch, const proto::ScoreReply& reply) const;
  /// Takes the outcomes out of a reply that fits; a score from a service in another language is
  /// checked like our own.
  void Take(const Batch& batch, proto::ScoreReply* reply);
};

/// What could not be parsed at the other end, found before anything is sent.
Status CheckSendable(const std::vector<proto::RewardSpec>& rewards,
                     const std::vector<proto::ScoreItem>& items);

/// Cuts a call into batches of at most `most_items` and `most_bytes`. Items that cannot be sent
/// have their failure already. `ids` begins every request id.
std::vector<std::unique_ptr<Batch>> Split(const std::shared_ptr<Call>& call,
                                          std::span<const proto::RewardSpec> rewards,
                                          std::span<const proto::ScoreItem> items,
                                          std::size_t most_items,
                                          std::size_t most_bytes,
                                          const std::string& ids);

}  // namespace aha::rewards
