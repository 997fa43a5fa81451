#pragma once
/// Makes the `code` reward and asks it, for the tests of this folder.

#include <memory>
#include <string>
#include <string_view>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "rewards/registry.h"

namespace aha::rewards {

/// The note `verdict`; empty when there is none.
inline std::string VerdictOf(const Outcome& outcome) {
  for (const auto& note : outcome.notes()) {
    if (note.name() == "verdict") return note.value();
  }
  return {};
}

/// Null, with a line that says why, where the machine gives no sandbox.
inline std::unique_ptr<Reward> MakeCode(const std::string& config) {
  static const Registry registry = Registry::BuiltIns();
  auto made = registry.Make("code", config);
  if (made) return *std::move(made);
  std::fprintf(stderr, "no sandbox here: %s\n", made.error().message.c_str());
  return nullptr;
}

inline Outcome Ask(const Reward& reward, std::string_view completion, std::string_view reference) {
  ScoreInput input;
  input.completion = completion;
  input.reference = reference;
  return ScoreSafely(reward, input);
}

/// A reference with one test case.
inline std::string OneTest(const std::string& language,
                           const std::string& in,
                           const std::string& out) {
  return nlohmann::json{{"language", language}, {"tests", {{{"stdin", in}, {"stdout", out}}}}}
      .dump();
}

}  // namespace aha::rewards
