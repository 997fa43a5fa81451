#include "rewards/verifiers/math/verifier.h"

#include <fmt/format.h>

#include "rewards/text.h"
#include "rewards/verifiers/math/judge.h"

namespace aha::rewards {
namespace {

math::MathVerdict Judge(const ScoreInput& input, int decimals) {
  return math::JudgeMath({.prompt = input.prompt,
                          .completion = input.completion,
                          .reference = input.reference,
                          .decimals = decimals});
}

// What a rule says in words, when it says yes and when it says no.
struct Said {
  std::string_view rule, yes, no;
};
constexpr Said kSaid[] = {
    {"exact", "the same rational number", "different rational numbers"},
    {"numeric", "the same number: their enclosures agree at a precision that covers every step",
     "different numbers: their enclosures do not meet"},
    {"identity", "the same function of their symbols", "different functions of their symbols"},
    {"rounded", "it rounds to the reference at the reference's last digit",
     "it does not round to the reference at the reference's last digit"},
    {"decimals", "the exact reference, rounded or cut at the answer's last digit (key `decimals`)",
     ""},
    {"few decimals", "",
     "rounded or cut too early: an exact reference wants its value, or as many right decimals and "
     "significant digits as the key `decimals` says (6)"},
    {"decimal comma", "the same digits with a decimal point", ""},
    {"percent", "the number, the percentage or the fraction that it means",
     "neither the number, nor the percentage, nor the fraction that it means"},
    {"unit", "the same quantity in other units", "units or quantities differ"},
    {"same text", "letter for letter the same",
     "not the same text, and nothing that can be computed"},
    {"words", "the same words", "words, and not the same"},
    {"choice", "the same choice", "another choice"},
    {"choices", "the same choices", "other choices"},
    {"set", "the same elements", "an element of one is not in the other"},
    {"in order", "the same items in order", "an item differs"},
    {"count", "", "not as many items"},
    {"brackets", "", "brackets that mean different things"},
    {"kind", "", "answers of different kinds"},
    {"names", "", "different names, or names where there should be none"},
    {"interval", "the same set of real numbers", "different sets of real numbers"},
    {"relation", "the same relation, up to a constant factor and the sides' order",
     "different relations"},
    {"matrix", "the same cells", "shapes differ"},
    {"ratio", "the same ratio", "different ratios"},
    {"modulus", "the same residue", "another modulus or residue"},
    {"moment", "the same date or time of day", "another date or time of day"},
    {"infinity", "the same infinity", "one is infinite, or they have opposite signs"},
    {"domain", "the same set of numbers", "different sets of numbers"},
    {"undefined", "", "it has no value: it divides by zero or the like"},
    {"undecided", "", "too close to tell apart, and not proved equal"}};

std::string WhyOf(const math::MathVerdict& verdict) {
  if (verdict.reason == "too_large")
    return verdict.extracted.size() > math::kLongestAnswer
               ? fmt::format("the answer has {} bytes; over {} it is not read",
                             verdict.extracted.size(), math::kLongestAnswer)
               : "too large or too deep to be worked out";
  if (verdict.reason == "no answer")
    return "no <answer>, \\boxed{}, \"answer is\", formula or number was found";
  if (verdict.reason == "empty answer") return "the <answer> or \\boxed{} is empty";
  if (verdict.reason == "unevaluated") return "a sum or product that nobody has worked out";
  for (const Said& said : kSaid) {
    if (said.rule != verdict.rule) continue;
    const std::string_view words = verdict.same ? said.yes : said.no;
    if (!words.empty()) return std::string(words);
  }
  return verdict.same ? "equal" : "different";
}

}  // namespace

Outcome MathReward::Score(const ScoreInput& input) const {
  const math::MathVerdict verdict = Judge(input, decimals_);
  if (!verdict.fault.empty()) return Failed(proto::Failure::BAD_REFERENCE, verdict.fault);
  return Scored(verdict.same ? 1 : 0, verdict.reason);
}

std::vector<Finding> MathReward::Explain(const ScoreInput& input) const {
  const math::MathVerdict verdict = Judge(input, decimals_);
  if (!verdict.fault.empty())
    return {{"fault", verdict.fault}, {"reference", Excerpt(input.reference)}};
  return {{"found", verdict.found},
          {"extracted", Excerpt(verdict.extracted)},
          {"reference_parsed", Excerpt(verdict.reference)},
          {"answer_parsed", Excerpt(verdict.answer)},
          {"equal", verdict.same ? "yes" : "no"},
          {"why", WhyOf(verdict)},
          {"rule", verdict.rule},
          {"reason", verdict.reason}};
}

}  // namespace aha::rewards
