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
void Sanitize(const ScoreInput& input, Outcome* outcome) {
  if (outcome->what_case() == Outcome::WHAT_NOT_SET) {
    *outcome = Failed(proto::Failure::CRASH, "the verifier returned neither a score nor a failure");
  } else if (outcome->has_score() && !std::isfinite(outcome->score())) {
    *outcome = Failed(proto::Failure::NOT_FINITE,
                      fmt::format("the verifier returned {}", outcome->score()));
  } else if (const std::string fault = FaultOfSteps(*outcome, input.completion.size());
             !fault.empty()) {
    *outcome = Failed(proto::Failure::CRASH, "the verifier returned " + fault);
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

std::string FaultOfSteps(const Outcome& outcome, std::uint64_t bytes) {
  if (outcome.steps_size() > 0 && !outcome.has_score()) return "steps without a score";
  std::uint64_t before = 0;
  for (int s = 0; s < outcome.steps_size(); ++s) {
    const proto::StepScore& step = outcome.steps(s);
    if (!step.has_score() || !std::isfinite(step.score())) {
      return fmt::format("step {} with a score of {}", s,
                         step.has_score() ? fmt::to_string(step.score()) : "nothing");
    }
    if (step.end() <= before || step.end() > bytes) {
      return fmt::format("step {} that ends at byte {}, after one that ends at {}, of {} bytes", s,
                         step.end(), before, bytes);
    }
    before = step.end();
  }
  return {};
}

Outcome ScoreSafely(const Reward& reward, const ScoreInput& input) {
  const auto start = std::chrono::steady_clock::now();
  auto scored = Guard("the verifier threw", [&] { return reward.Score(input); });
  Outcome outcome =
      scored ? *std::move(scored) : Failed(proto::Failure::CRASH, scored.error().message);
  Sanitize(input, &outcome);
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
  for (std::size_t i = 0; i < outcomes.size(); ++i) {
    Sanitize(inputs[i], &outcomes[i]);
    outcomes[i].set_ms(each);
  }
  return outcomes;
}

Outcome BatchReward::Score(const ScoreInput& input) const {
  auto outcomes = ScoreBatch({&input, 1}, Deadline::After(std::chrono::hours(1)));
  return outcomes.size() == 1 ? std::move(outcomes.front()) : Outcome();
}

}  // namespace aha::rewards
