#include "rewards/verifiers/overlength.h"

namespace aha::rewards {

Outcome OverlengthReward::Score(const ScoreInput& input) const {
  if (input.tokens == 0 && !input.completion.empty()) {
    return Failed(proto::Failure::BAD_REFERENCE,
                  "the item does not say how many tokens its completion has; set `tokens`");
  }
  const std::int64_t over = std::int64_t{input.tokens} - (max_length_ - cache_);
  if (over <= 0) return Scored(0);
  if (input.tokens > max_length_ || cache_ == 0) return Scored(-1, "too long");
  return Scored(-static_cast<double>(over) / static_cast<double>(cache_), "long");
}

}  // namespace aha::rewards
