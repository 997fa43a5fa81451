#include <chrono>
#include <future>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "rewards/isolate/isolated_reward.h"
#include "rewards/registry.h"

namespace aha::rewards {
namespace {

using testing::AllOf;
using testing::HasSubstr;

std::string File(const std::string& name) {
  return AHA_TEST_PLUGINS "/libtest_plugin_" + name + ".so";
}

proto::RewardSpec Spec(const std::string& name,
                       std::uint32_t memory_mb = 64,
                       std::uint32_t timeout_ms = 300) {
  proto::RewardSpec spec;
  spec.set_name(name);
  spec.mutable_isolation()->set_memory_mb(memory_mb);
  spec.mutable_isolation()->set_timeout_ms(timeout_ms);
  return spec;
}

class Isolated : public testing::Test {
 protected:
  Isolated() {
    for (const char* plugin : {"misbehaving", "good", "plain_c"}) {
      const auto loaded = registry_.LoadPlugin(File(plugin));
      EXPECT_TRUE(loaded.has_value()) << loaded.error().message;
    }
  }
  std::unique_ptr<Reward> Make(const proto::RewardSpec& spec) {
    auto made = registry_.Make(spec);
    EXPECT_TRUE(made.has_value()) << made.error().message;
    return made ? *std::move(made) : nullptr;
  }
  static Outcome Score(const Reward& reward,
                       std::string_view completion,
                       std::string_view reference = {}) {
    return ScoreSafely(reward, {.id = "i",
                                .prompt = {},
                                .completion = completion,
                                .reference = reference,
                                .language = {},
                                .tokens = 31});
  }
  Registry registry_ = Registry::BuiltIns();
};

TEST_F(Isolated, ScoresAsInsideTheProcess) {
  auto spec = Spec("counts");
  spec.set_config("factor: 2 offset: -1 negate: true why: 'x'");
  const auto reward = Make(spec);
  const Outcome outcome = Score(*reward, "abc");
  EXPECT_EQ(outcome.score(), -5);
  EXPECT_EQ(outcome.reason(), "x");
  EXPECT_EQ(Score(*reward, "a", "broken").failure().kind(), proto::Failure::BAD_REFERENCE);
  EXPECT_EQ(Score(*Make(Spec("plain_c")), "").score(), 31);
}

struct Fault {
  std::string completion;
  proto::Failure::Kind kind;
  std::string detail;
};

TEST_F(Isolated, TypesEveryWayToBreakAndGoesOn) {
  const Fault kFaults[] = {
      {"crash", proto::Failure::CRASH, "signal 11"},
      {"abort", proto::Failure::CRASH, "signal 6"},
      {"exit", proto::Failure::CRASH, "exit code 3"},
      {"throw", proto::Failure::CRASH, "thrown"},
      {"hang", proto::Failure::TIMEOUT, "not finished within 600 ms"},
      {"leak", proto::Failure::CRASH, "memory limit of 64 MiB"},
  };
  // A busy machine may take long to start a process; only the one that hangs is to meet its limit.
  const auto patient = Make(Spec("misbehaves", 64, 20000));
  const auto quick = Make(Spec("misbehaves", 64, 600));
  for (const Fault& fault : kFaults) {
    const auto& reward = fault.kind == proto::Failure::TIMEOUT ? quick : patient;
    const Outcome outcome = Score(*reward, fault.completion);
    ASSERT_TRUE(outcome.has_failure()) << fault.completion;
    EXPECT_EQ(outcome.failure().kind(), fault.kind)
        << fault.completion << ": " << outcome.failure().detail();
    EXPECT_THAT(outcome.failure().detail(), HasSubstr(fault.detail)) << fault.completion;
    EXPECT_TRUE(Score(*reward, "fine").has_score()) << "a new process after " << fault.completion;
  }
}

TEST_F(Isolated, KeepsItsProcessBetweenCompletions) {
  const auto reward = Make(Spec("misbehaves"));
  EXPECT_EQ(Score(*reward, "a").score(), 0);
  EXPECT_EQ(Score(*reward, "b").score(), 1);
  Score(*reward, "crash");
  EXPECT_EQ(Score(*reward, "c").score(), 0) << "a new process counts anew";
}

TEST_F(Isolated, ScoresInParallelWithAProcessEach) {
  const auto reward = Make(Spec("misbehaves", 64, 500));
  std::vector<std::future<Outcome>> outcomes;
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < 4; ++i)
    outcomes.push_back(std::async(std::launch::async, [&] { return Score(*reward, "hang"); }));
  for (auto& outcome : outcomes)
    EXPECT_EQ(outcome.get().failure().kind(), proto::Failure::TIMEOUT);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::milliseconds(1900));
}

TEST_F(Isolated, RefusesWhatItsConstructorRefusesAndBuiltIns) {
  auto spec = Spec("misbehaves");
  spec.set_config("refuse: 'yes'");
  const auto refused = registry_.Make(spec);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, Code::kInvalidArgument);
  EXPECT_THAT(refused.error().message, AllOf(HasSubstr("misbehaves"), HasSubstr("told to refuse")));
  spec.set_config("refus: 'yes'");
  EXPECT_THAT(registry_.Make(spec).error().message, HasSubstr("did you mean refuse"));
  EXPECT_THAT(registry_.Make(Spec("math")).error().message, HasSubstr("built in"));
  EXPECT_EQ(registry_.Make(Spec("nowhere")).error().code, Code::kNotFound);
}

TEST_F(Isolated, OneThreadAtATimeInsideTheProcessToo) {
  const auto reward = registry_.Make("misbehaves", "");
  ASSERT_TRUE(reward.has_value());
  std::vector<std::future<void>> callers;
  for (int t = 0; t < 4; ++t) {
    callers.push_back(std::async(std::launch::async, [&] {
      for (int i = 0; i < 2000; ++i)
        Score(**reward, "fine");
    }));
  }
  for (auto& caller : callers)
    caller.get();
  EXPECT_EQ(Score(**reward, "fine").score(), 8000) << "no count was lost to a race";
}

}  // namespace
}  // namespace aha::rewards
