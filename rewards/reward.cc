#include "rewards/reward.h"

#include <chrono>
#include <cmath>

#include "base/result.h"
#include "rewards/text.h"

namespace aha::rewards {

Outcome Scored(double score, std::string_view reason) {
  Outcome outcome;
  outcome.set_score(score);
  if (!reason.empty()) outcome.set_reason(ToValidUtf8(reason));
  return outcome;
}

Outcome Failed(proto::Failure::Kind kind, std::string_view detail) {
  Outcome outcome;
  outcome.mutable_failure()->set_kind(kind);
  outcome.mutable_failure()->set_detail(ToValidUtf8(detail));
  return outcome;
}

void AddNote(std::string_view name, std::string_view value, Outcome* outcome) {
  auto* note = outcome->add_notes();
  note->set_name(std::string(name));
  note->set_value(ToValidUtf8(value));
}

Outcome ScoreSafely(const Reward& reward, const ScoreInput& input) {
  const auto start = std::chrono::steady_clock::now();
  auto scored = Guard("the verifier threw", [&] { return reward.Score(input); });
  Outcome outcome =
      scored ? *std::move(scored) : Failed(proto::Failure::CRASH, scored.error().message);
  if (outcome.what_case() == Outcome::WHAT_NOT_SET) {
    outcome = Failed(proto::Failure::CRASH, "the verifier returned neither a score nor a failure");
  } else if (outcome.has_score() && !std::isfinite(outcome.score())) {
    outcome = Failed(proto::Failure::NOT_FINITE,
                     fmt::format("the verifier returned {}", outcome.score()));
  }
  const std::chrono::duration<double, std::milli> taken = std::chrono::steady_clock::now() - start;
  outcome.set_ms(taken.count());
  return outcome;
}

}  // namespace aha::rewards
