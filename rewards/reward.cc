#include "rewards/reward.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <utility>

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

namespace {

// What a verifier must never return.
void Sanitize(Outcome* outcome) {
  if (outcome->what_case() == Outcome::WHAT_NOT_SET) {
    *outcome = Failed(proto::Failure::CRASH, "the verifier returned neither a score nor a failure");
  } else if (outcome->has_score() && !std::isfinite(outcome->score())) {
    *outcome = Failed(proto::Failure::NOT_FINITE,
                      fmt::format("the verifier returned {}", outcome->score()));
  }
}

double MsSince(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start)
      .count();
}

}  // namespace

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
  Sanitize(&outcome);
  outcome.set_ms(MsSince(start));
  return outcome;
}

std::vector<Outcome> ScoreBatchSafely(const BatchReward& reward,
                                      std::span<const ScoreInput> inputs,
                                      Deadline deadline) {
  const auto start = std::chrono::steady_clock::now();
  auto scored = Guard("the model threw", [&] { return reward.ScoreBatch(inputs, deadline); });
  std::string fault;
  if (!scored) {
    fault = scored.error().message;
  } else if (scored->size() != inputs.size()) {
    fault = fmt::format("the model returned {} outcomes for {} completions", scored->size(),
                        inputs.size());
  }
  std::vector<Outcome> outcomes =
      fault.empty() ? *std::move(scored)
                    : std::vector<Outcome>(inputs.size(), Failed(proto::Failure::CRASH, fault));
  const double each = MsSince(start) / static_cast<double>(std::max<std::size_t>(1, inputs.size()));
  for (Outcome& outcome : outcomes) {
    Sanitize(&outcome);
    outcome.set_ms(each);
  }
  return outcomes;
}

Outcome BatchReward::Score(const ScoreInput& input) const {
  auto outcomes = ScoreBatch({&input, 1}, Deadline::After(std::chrono::hours(1)));
  return outcomes.size() == 1 ? std::move(outcomes.front()) : Outcome();
}

}  // namespace aha::rewards
