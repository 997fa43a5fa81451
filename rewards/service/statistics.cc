#include "rewards/service/statistics.h"

#include <algorithm>
#include <cmath>

namespace aha::rewards {
namespace {

constexpr double kLeastMs = 1e-4;
constexpr const char* kUnknown = "(unknown)";

}  // namespace

void Histogram::Add(double ms) {
  const double place = std::log2(std::max(ms, kLeastMs) / kLeastMs) * kPerDoubling;
  const int bucket = std::clamp(static_cast<int>(place), 0, kBuckets - 1);
  ++counts_[static_cast<std::size_t>(bucket)];
  ++total_;
}

double Histogram::Quantile(double q) const {
  const auto rank = static_cast<std::uint64_t>(std::ceil(q * static_cast<double>(total_)));
  std::uint64_t seen = 0;
  for (std::size_t i = 0; i < counts_.size(); ++i) {
    seen += counts_[i];
    if (seen > 0 && seen >= rank) {
      return kLeastMs * std::exp2((static_cast<double>(i) + 0.5) / kPerDoubling);
    }
  }
  return 0;
}

Statistics::Statistics(const Registry& registry) {
  for (const RewardInfo& info : registry.List())
    by_reward_[info.name];
  by_reward_[kUnknown];
}

void Statistics::Count(const proto::ScoreRequest& request,
                       std::span<const proto::Outcome> outcomes,
                       double ms_since_arrival) {
  const auto rewards = static_cast<std::size_t>(request.rewards_size());
  const std::lock_guard lock(mutex_);
  ++requests_;
  items_ += static_cast<std::uint64_t>(request.items_size());
  request_ms_.Add(ms_since_arrival);
  for (std::size_t r = 0; r < rewards; ++r) {
    const auto found = by_reward_.find(request.rewards(static_cast<int>(r)).name());
    Tally& tally = found == by_reward_.end() ? by_reward_.find(kUnknown)->second : found->second;
    for (std::size_t i = r; i < outcomes.size(); i += rewards) {
      const proto::Outcome& outcome = outcomes[i];
      if (outcome.has_ms()) tally.ms.Add(outcome.ms());
      if (!outcome.has_failure()) {
        ++tally.scored;
        continue;
      }
      ++failed_;
      ++failures_[outcome.failure().kind()];
      ++tally.failures[outcome.failure().kind()];
    }
  }
}

void Statistics::Fill(const std::map<int, std::uint64_t>& failures,
                      google::protobuf::RepeatedPtrField<proto::FailureCount>* out) {
  for (const auto& [kind, count] : failures) {
    auto* added = out->Add();
    added->set_kind(static_cast<proto::Failure::Kind>(kind));
    added->set_count(count);
  }
}

void Statistics::Into(proto::ServiceStatus* status) const {
  const std::lock_guard lock(mutex_);
  status->set_requests(requests_);
  status->set_items(items_);
  status->set_failed(failed_);
  Fill(failures_, status->mutable_failures());
  status->set_p50_ms(request_ms_.Quantile(0.5));
  status->set_p99_ms(request_ms_.Quantile(0.99));
  for (const auto& [name, tally] : by_reward_) {
    if (tally.scored == 0 && tally.failures.empty()) continue;
    auto* reward = status->add_rewards();
    reward->set_name(name);
    reward->set_scored(tally.scored);
    Fill(tally.failures, reward->mutable_failures());
    reward->set_p50_ms(tally.ms.Quantile(0.5));
    reward->set_p99_ms(tally.ms.Quantile(0.99));
  }
}

std::uint64_t Statistics::items() const {
  const std::lock_guard lock(mutex_);
  return items_;
}
std::uint64_t Statistics::failed() const {
  const std::lock_guard lock(mutex_);
  return failed_;
}

}  // namespace aha::rewards
