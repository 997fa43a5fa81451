#include "rewards/verifiers/math/verifier.h"

#include "rewards/text.h"
#include "rewards/verifiers/math/judge.h"

namespace aha::rewards {
namespace {

math::MathVerdict Judge(const ScoreInput& input) {
  return math::JudgeMath(
      {.prompt = input.prompt, .completion = input.completion, .reference = input.reference});
}

// For people: long texts lose their end.
std::string Shorten(const std::string& text) {
  constexpr std::size_t kMost = 400;
  return text.size() <= kMost ? text : ToValidUtf8(text.substr(0, kMost)) + "...";
}

}  // namespace

Outcome MathReward::Score(const ScoreInput& input) const {
  const math::MathVerdict verdict = Judge(input);
  if (!verdict.fault.empty()) return Failed(proto::Failure::BAD_REFERENCE, verdict.fault);
  return Scored(verdict.same ? 1 : 0, verdict.reason);
}

std::vector<Finding> MathReward::Explain(const ScoreInput& input) const {
  const math::MathVerdict verdict = Judge(input);
  if (!verdict.fault.empty()) return {{"fault", verdict.fault}};
  return {{"found", verdict.found},
          {"extracted", Shorten(verdict.extracted)},
          {"reference_parsed", Shorten(verdict.reference)},
          {"answer_parsed", Shorten(verdict.answer)},
          {"equal", verdict.same ? "yes" : "no"},
          {"rule", verdict.rule},
          {"reason", verdict.reason}};
}

}  // namespace aha::rewards
