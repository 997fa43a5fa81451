#include <cmath>
#include <string>

#include <gtest/gtest.h>

#include "base/keyed_random.h"
#include "rewards/registry.h"
#include "rewards/text.h"

namespace aha::rewards {
namespace {

// Random bytes, and random runs of what the verifiers give meaning to.
std::string HostileText(DrawSequence* draw) {
  constexpr std::string_view kPieces[] = {
      "<think>", "</think>", "<answer>", "</answer>", "\\boxed{", "\\frac{", "}",          "{",
      "$",       "$$",       "\\(",      "\\)",       "`",        "```",     "1,234",      "1/0",
      "3.5",     "%",        "10^",      "e9",        "(",        ")",       "[",          "]",
      ",",       " and ",    "=",        "x",         "答案是",   "汉",      "\n",         "\n\n",
      " ",       "\\",       "\\text{",  "½",         "10⁶",      "\u0301",  "answer is ", "-",
      "'",       "http://",  "\uFEFF",   "^",         "_"};
  std::string text;
  const auto pieces = draw->Integer(0, 40);
  for (std::int64_t i = 0; i < pieces; ++i) {
    if (draw->Chance(0.25)) {
      text.push_back(static_cast<char>(draw->Integer(0, 255)));
    } else {
      text += draw->Pick(kPieces);
    }
  }
  return text;
}

// Every kind that needs no arguments, and some that do.
constexpr const char* kInstructions =
    R"([{"kind":"punctuation:no_comma"},{"kind":"detectable_format:json_format"},{"kind":"startend:quotation"},
        {"kind":"detectable_format:title"},{"kind":"combination:two_responses"},{"kind":"change_case:english_capital"},
        {"kind":"change_case:english_lowercase"},{"kind":"detectable_format:constrained_response"},
        {"kind":"length_constraints:number_sentences","relation":"at least","num_sentences":1},
        {"kind":"keywords:forbidden_words","forbidden_words":["answer","是"]},
        {"kind":"detectable_format:number_highlighted_sections","num_highlights":1},
        {"kind":"detectable_content:number_placeholders","num_placeholders":1},
        {"kind":"language:response_language","language":"en"}])";

TEST(Robustness, EveryVerifierJudgesAnyBytes) {
  const Registry registry = Registry::BuiltIns();
  for (const auto& info : registry.List()) {
    if (info.name == "code") continue;  // runs programs: sandbox_abuse_test
    const auto reward = registry.Make(info.name, "");
    ASSERT_TRUE(reward.has_value());
    DrawSequence draw(KeyedRandom(1, "robustness/" + info.name));
    for (int round = 0; round < 4000; ++round) {
      const std::string completion = HostileText(&draw);
      const bool instructed = info.name == "instructions";
      const Outcome outcome = ScoreSafely(**reward, {.id = {},
                                                     .prompt = {},
                                                     .completion = completion,
                                                     .reference = instructed ? kInstructions : "42",
                                                     .language = "en",
                                                     .tokens = 20000});
      ASSERT_TRUE(outcome.has_score()) << info.name << ": " << outcome.ShortDebugString();
      ASSERT_TRUE(outcome.score() >= -1 && outcome.score() <= 1) << outcome.ShortDebugString();
      ASSERT_TRUE(IsValidUtf8(outcome.reason()));
    }
  }
}

TEST(Robustness, HostileReferencesAreScoresOrBadReferences) {
  const Registry registry = Registry::BuiltIns();
  for (const char* name : {"math", "exact"}) {
    const auto reward = registry.Make(name, "");
    ASSERT_TRUE(reward.has_value());
    DrawSequence draw(KeyedRandom(2, name));
    for (int round = 0; round < 4000; ++round) {
      const std::string reference = HostileText(&draw);
      const std::string completion = "<answer>" + HostileText(&draw);
      const Outcome outcome = ScoreSafely(**reward, {.id = {},
                                                     .prompt = {},
                                                     .completion = completion,
                                                     .reference = reference,
                                                     .language = "en"});
      ASSERT_TRUE(outcome.has_score() || outcome.failure().kind() == proto::Failure::BAD_REFERENCE)
          << outcome.ShortDebugString();
    }
  }
}

}  // namespace
}  // namespace aha::rewards
