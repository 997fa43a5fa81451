#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/content_hash.h"
#include "rewards/plugin_loader.h"
#include "rewards/registry.h"

namespace aha::rewards {
namespace {

using testing::AllOf;
using testing::HasSubstr;

std::string File(const std::string& name) {
  return AHA_TEST_PLUGINS "/libtest_plugin_" + name + ".so";
}

Outcome ScoreWith(const std::string& plugin,
                  const std::string& reward,
                  const std::string& config,
                  std::string_view completion,
                  std::string_view reference = {},
                  std::uint32_t tokens = 0) {
  Registry registry;
  const auto loaded = registry.LoadPlugin(File(plugin));
  EXPECT_TRUE(loaded.has_value()) << loaded.error().message;
  const auto made = registry.Make(reward, config);
  if (!made) return Failed(proto::Failure::BAD_CONFIG, made.error().message);
  return ScoreSafely(**made, {.id = "i",
                              .prompt = {},
                              .completion = completion,
                              .reference = reference,
                              .language = {},
                              .tokens = tokens});
}

TEST(Plugin, ScoresWithItsDefaultsAndItsConfig) {
  const Outcome plain = ScoreWith("good", "counts", "", "four");
  EXPECT_EQ(plain.score(), 16);
  EXPECT_EQ(plain.reason(), "counted");
  EXPECT_EQ(
      ScoreWith("good", "counts", "factor: 2 offset: -1 negate: true why: 'x'", "abc").score(), -5);
}

TEST(Plugin, DeclaresItselfWithItsHash) {
  Registry registry = Registry::BuiltIns();
  ASSERT_TRUE(registry.LoadPlugin(File("good")).has_value());
  ASSERT_TRUE(registry.LoadPlugin(File("good")).has_value()) << "the same file again is no error";
  const auto list = registry.List();
  const auto info = std::find_if(list.begin(), list.end(),
                                 [](const RewardInfo& i) { return i.name == "counts"; });
  ASSERT_NE(info, list.end());
  EXPECT_EQ(info->file, File("good"));
  EXPECT_EQ(info->sha256, *HashFile(File("good")));
  ASSERT_EQ(info->keys.size(), 4);
  EXPECT_EQ(info->keys[0].name, "factor");
  EXPECT_EQ(info->keys[0].doc, "what a byte is worth");
  EXPECT_EQ(ValueText(info->keys[0].default_value), "1.5");
  EXPECT_EQ(ValueText(info->keys[3].default_value), "\"counted\"");
}

TEST(Plugin, RefusesKeysThatItDoesNotDeclare) {
  const Outcome outcome = ScoreWith("good", "counts", "factr: 2", "a");
  EXPECT_THAT(outcome.failure().detail(),
              AllOf(HasSubstr("factr"), HasSubstr("did you mean factor")));
}

TEST(Plugin, RefusesAConfigThatItsConstructorThrowsAt) {
  const Outcome outcome = ScoreWith("good", "counts", "factor: -1", "a");
  EXPECT_THAT(outcome.failure().detail(), HasSubstr("factor must not be negative"));
}

TEST(Plugin, PassesATypedFailureOn) {
  const Outcome outcome = ScoreWith("good", "counts", "", "a", "broken");
  EXPECT_EQ(outcome.failure().kind(), proto::Failure::BAD_REFERENCE);
  EXPECT_EQ(outcome.failure().detail(), "it says so");
}

TEST(Plugin, TurnsAnExceptionIntoACrash) {
  const Outcome outcome = ScoreWith("throwing", "throws", "", "a");
  EXPECT_EQ(outcome.failure().kind(), proto::Failure::CRASH);
  EXPECT_EQ(outcome.failure().detail(), "no good: \uFFFD") << "bytes made fit for the wire";
  EXPECT_EQ(ScoreWith("throwing", "throws", "", "int").failure().kind(), proto::Failure::CRASH);
}

TEST(Plugin, TurnsNanAndInfinityIntoFailures) {
  for (const char* completion : {"a", "long one"}) {
    EXPECT_EQ(ScoreWith("nan", "not_a_number", "", completion).failure().kind(),
              proto::Failure::NOT_FINITE);
  }
}

TEST(Plugin, ReadsTextWithoutNulOnlyToItsEnd) {
  const Outcome outcome = ScoreWith("plain_c", "plain_c", "", "", "", 31);
  EXPECT_EQ(outcome.score(), 31);
  EXPECT_EQ(outcome.reason(), std::string(256, 'x'));
}

TEST(Plugin, ExampleOfTheDocumentation) {
  EXPECT_EQ(ScoreWith("short_answer", "short_answer", "", "", "", 200).score(), 1);
  EXPECT_EQ(ScoreWith("short_answer", "short_answer", "limit: 100", "", "", 150).score(), 0.5);
  EXPECT_EQ(ScoreWith("short_answer", "short_answer", "limit: 100", "", "", 900).score(), 0);
}

TEST(PluginLoader, NamesBothAbiVersionsAndThePath) {
  const auto plugin = LoadPlugin(File("wrong_abi"));
  ASSERT_FALSE(plugin.has_value());
  EXPECT_EQ(plugin.error().code, Code::kInvalidArgument);
  EXPECT_THAT(plugin.error().message,
              AllOf(HasSubstr(File("wrong_abi")), HasSubstr("version 77"), HasSubstr("version 1")));
}

TEST(PluginLoader, RefusesWhatIsNoPlugin) {
  const auto missing = LoadPlugin("/no/such/file.so");
  ASSERT_FALSE(missing.has_value());
  EXPECT_EQ(missing.error().code, Code::kNotFound);
  EXPECT_THAT(missing.error().message, HasSubstr("/no/such/file.so"));

  const auto without = LoadPlugin(File("no_symbol"));
  ASSERT_FALSE(without.has_value());
  EXPECT_THAT(without.error().message, HasSubstr("AHA_REWARD_PLUGIN"));

  const auto text = LoadPlugin(AHA_SOURCE_DIR "/CMakeLists.txt");
  ASSERT_FALSE(text.has_value());
  EXPECT_EQ(text.error().code, Code::kInvalidArgument);
}

}  // namespace
}  // namespace aha::rewards
