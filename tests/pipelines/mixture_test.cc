#include "pipelines/tasks/mixture.h"

#include <limits>
#include <map>
#include <string>

#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

namespace aha::pipelines {
namespace {

Result<Mixture> MixtureOf(const std::string& text, Split split = Split::kTrain) {
  proto::Corpus holder;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &holder));
  return Mixture::Make(holder.task(), split);
}

std::map<std::string, int> Tally(const Mixture& mixture, int draws) {
  std::map<std::string, int> tally;
  for (int k = 0; k < draws; ++k) {
    const Result<Problem> problem =
        mixture.Draw(static_cast<std::uint64_t>(k), KeyedRandom(1, "mix"));
    EXPECT_TRUE(problem.has_value());
    ++tally[problem->family];
    ++tally["band " + std::to_string(problem->band)];
    ++tally[problem->language];
  }
  return tally;
}

TEST(Mixture, DrawsByWeightBandAndLanguage) {
  const auto mixture = MixtureOf(
      "task { family: 'chain' weight: 3 } task { family: 'clock' } task { family: 'swap' weight: 0 "
      "}");
  ASSERT_TRUE(mixture.has_value());
  auto tally = Tally(*mixture, 2000);
  EXPECT_NEAR(tally["chain"], 1500, 80);
  EXPECT_NEAR(tally["clock"], 500, 80);
  EXPECT_EQ(tally["swap"], 0);
  EXPECT_NEAR(tally["band 1"], 1000, 90);
  EXPECT_NEAR(tally["band 2"], 1000, 90);
  EXPECT_NEAR(tally["en"], 1000, 90);
  EXPECT_NEAR(tally["zh"], 1000, 90);
}

TEST(Mixture, KeepsToWhatIsAskedFor) {
  const auto mixture = MixtureOf("task { family: 'chain' band: 3 language: 'zh' }", Split::kTest);
  ASSERT_TRUE(mixture.has_value());
  auto tally = Tally(*mixture, 100);
  EXPECT_EQ(tally["band 3"], 100);
  EXPECT_EQ(tally["zh"], 100);
}

TEST(Mixture, KnowsGroupsOfFamilies) {
  const auto mixture = MixtureOf("task { family: 'general' }");
  ASSERT_TRUE(mixture.has_value());
  auto tally = Tally(*mixture, 900);
  for (const char* family : {"repeat", "pick", "translate"})
    EXPECT_NEAR(tally[family], 300, 60);
}

TEST(Mixture, IsPureInTheKey) {
  const auto mixture = MixtureOf("task { family: 'reasoning' }");
  ASSERT_TRUE(mixture.has_value());
  const KeyedRandom random(9, "mix");
  const Problem first = mixture->Draw(7, random).value();
  static_cast<void>(mixture->Draw(8, random));
  const Problem again = mixture->Draw(7, random).value();
  EXPECT_EQ(first.id, again.id);
  EXPECT_EQ(first.question, again.question);
  EXPECT_NE(first.id, mixture->Draw(8, random)->id);
  EXPECT_NE(first.id, mixture->Draw(7, KeyedRandom(10, "mix"))->id);
}

struct BadMix {
  const char* name;
  const char* text;
  const char* says;
};
class BadMixtureTest : public testing::TestWithParam<BadMix> {};
TEST_P(BadMixtureTest, IsRefused) {
  const auto mixture = MixtureOf(GetParam().text);
  ASSERT_FALSE(mixture.has_value());
  EXPECT_EQ(mixture.error().code, Code::kInvalidArgument);
  EXPECT_NE(mixture.error().message.find(GetParam().says), std::string::npos)
      << mixture.error().message;
}
constexpr BadMix kBad[] = {
    {"Empty", "", "none given"},
    {"Family", "task { family: 'chain' } task { family: 'clok' }",
     "task 2 (clok): clok: no such task family; nearest: clock"},
    {"Band", "task { family: 'chain' band: 1 band: 4 }", "task 1 (chain): band 4: out of range"},
    {"HeldOut", "task { family: 'chain' band: 3 }", "band 3: held out"},
    {"Language", "task { family: 'chain' language: 'en' language: 'de' }", "language de"},
    {"Negative", "task { family: 'chain' weight: -1 }", "weight -1"},
    {"NotANumber", "task { family: 'chain' weight: nan }", "weight nan"},
    {"AllZero", "task { family: 'chain' weight: 0 }", "add up to 0"},
};
INSTANTIATE_TEST_SUITE_P(Table, BadMixtureTest, testing::ValuesIn(kBad), [](const auto& p) {
  return std::string(p.param.name);
});

}  // namespace
}  // namespace aha::pipelines
