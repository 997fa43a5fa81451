// The quick part of tests/system/invariance.cc: four updates of each kind of policy.
#include "tests/grpo/invariance.h"

#include <gtest/gtest.h>

namespace aha::grpo::invariance {
namespace {

class InvarianceTest : public testing::TestWithParam<std::tuple<bool, policy::NumberType>> {};

TEST_P(InvarianceTest, SettingsThatOnlyMoveWorkChangeNoBit) {
  const auto [experts, type] = GetParam();
  const policy::PolicyConfig config = Config(experts, type);
  const std::vector<Setting> settings = Settings();
  const auto want = RunLoop(config, settings[0], 4);
  ASSERT_TRUE(want) << want.error().message;
  EXPECT_GT(want->tokens, 100);
  for (std::size_t s = 1; s < settings.size(); ++s) {
    const auto got = RunLoop(config, settings[s], 4);
    ASSERT_TRUE(got) << settings[s].name << ": " << got.error().message;
    EXPECT_EQ(DifferingBits(*want, *got), 0U) << settings[s].name;
    EXPECT_EQ(want->tokens, got->tokens) << settings[s].name;
  }
}

// Else the matrix would be full of zeros whatever the code does.
TEST_P(InvarianceTest, AnotherUpdateIsSeen) {
  const auto [experts, type] = GetParam();
  const policy::PolicyConfig config = Config(experts, type);
  const Setting setting;
  const auto two = RunLoop(config, setting, 2);
  const auto four = RunLoop(config, setting, 4);
  ASSERT_TRUE(two && four);
  EXPECT_GT(DifferingBits(*two, *four), 1000U);
}

INSTANTIATE_TEST_SUITE_P(Policies,
                         InvarianceTest,
                         testing::Combine(testing::Bool(),
                                          testing::Values(policy::NumberType::kFp32,
                                                          policy::NumberType::kBf16)));

}  // namespace
}  // namespace aha::grpo::invariance
