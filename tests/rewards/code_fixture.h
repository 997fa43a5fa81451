#pragma once
/// Makes the `code` reward and asks it, for the tests of this folder.

#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
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

/// Whether this machine has bubblewrap and lets a process make user namespaces, asked without our
/// own code: a sandbox that is refused all the same is a fault, not a machine that lacks something.
inline bool MachineGivesSandboxes() {
  if (access("/usr/bin/bwrap", X_OK) != 0) return false;
  const pid_t child = fork();
  if (child == 0)
    _exit(unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET) == 0 ? 0 : 1);
  int status = 1;
  waitpid(child, &status, 0);
  return status == 0;
}

/// Null, with a line that says why, where the machine gives no sandbox; a failure where it does.
inline std::unique_ptr<Reward> MakeCode(const std::string& config) {
  static const Registry registry = Registry::BuiltIns();
  auto made = registry.Make("code", config);
  if (made) return *std::move(made);
  EXPECT_FALSE(MachineGivesSandboxes()) << made.error().message;
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
