#pragma once
/// What a service counts, for `aha rewards --status`.

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <span>
#include <string>

#include "proto/rewards.pb.h"
#include "rewards/registry.h"

namespace aha::rewards {

/// Counts of durations in buckets that grow by 2^(1/8): a quantile is right within 5 %, memory is
/// fixed.
class Histogram {
 public:
  void Add(double ms);
  /// The duration below which the share `q` of those added lies; 0 when there are none.
  [[nodiscard]] double Quantile(double q) const;

 private:
  static constexpr int kPerDoubling = 8;
  static constexpr int kBuckets = 40 * kPerDoubling;  // 0.1 us to a day
  std::array<std::uint64_t, kBuckets> counts_{};
  std::uint64_t total_ = 0;
};

/// Safe from many threads.
class Statistics {
 public:
  explicit Statistics(const Registry& registry);

  /// A request's outcomes, item by item, `request.rewards_size()` each.
  void Count(const proto::ScoreRequest& request,
             std::span<const proto::Outcome> outcomes,
             double ms_since_arrival);

  /// Fills in all that is counted here.
  void Into(proto::ServiceStatus* status) const;
  [[nodiscard]] std::uint64_t items() const;
  [[nodiscard]] std::uint64_t failed() const;

 private:
  struct Tally {
    std::uint64_t scored = 0;
    std::map<int, std::uint64_t> failures;  // by kind
    Histogram ms;
  };
  static void Fill(const std::map<int, std::uint64_t>& failures,
                   google::protobuf::RepeatedPtrField<proto::FailureCount>* out);

  mutable std::mutex mutex_;                             // guards all below
  std::map<std::string, Tally, std::less<>> by_reward_;  // the registry's names and "(unknown)"
  std::map<int, std::uint64_t> failures_;
  std::uint64_t requests_ = 0;
  std::uint64_t items_ = 0;
  std::uint64_t failed_ = 0;
  Histogram request_ms_;
};

}  // namespace aha::rewards
