#include "rollout/sampler.h"

#include <cmath>
#include <limits>
#include <set>
#include <vector>

#include <gtest/gtest.h>

#include "base/keyed_random.h"

namespace aha::rollout {
namespace {

std::vector<float> Logs(const std::vector<double>& probabilities) {
  std::vector<float> logs;
  for (const double p : probabilities)
    logs.push_back(static_cast<float>(std::log(p)));
  return logs;
}

struct PickCase {
  const char* name;
  std::vector<double> probabilities;
  double draw;
  SamplingRule rule;
  std::int32_t want;
};
void PrintTo(const PickCase& c, std::ostream* os) {
  *os << c.name;
}

const double kAlmostOne = std::nextafter(1.0, 0.0);
const std::vector<double> kFour = {.1, .4, .2, .3};
const SamplingRule kGreedy{.temperature = 0};
const SamplingRule kTop2{.top_k = 2};
const SamplingRule kNucleus{.top_p = .6};  // .4 and .3 reach it

const PickCase kCases[] = {
    // Running sums .1, .5, .7, 1: the first one above the draw, in id order.
    {"FirstAtZero", kFour, 0, {}, 0},
    {"JustBelowTheFirstSum", kFour, .0999, {}, 0},
    {"JustAboveTheFirstSum", kFour, .1001, {}, 1},
    {"Middle", kFour, .6, {}, 2},
    {"Last", kFour, .71, {}, 3},
    {"AlmostOne", kFour, kAlmostOne, {}, 3},
    // A token without probability is never drawn, at either edge.
    {"ZeroFirst", {0, .5, .5}, 0, {}, 1},
    {"ZeroLast", {.5, .5, 0}, kAlmostOne, {}, 1},
    {"ZeroBetween", {.5, 0, .5}, .5000001, {}, 2},
    // Not quite a distribution, as log-softmax in fp32 leaves it: the draw is scaled.
    {"SumBelowOne", {.25, .25}, .75, {}, 1},
    {"GreedyTakesTheLikeliest", kFour, .99, kGreedy, 1},
    {"GreedyTakesTheLowestOfEquals", {.2, .3, .3, .2}, .99, kGreedy, 1},
    // Of 1 (.4) and 3 (.3): sums .4/.7 and 1.
    {"TopKKeepsTwo", kFour, .57, kTop2, 1},
    {"TopKKeepsTheOther", kFour, .58, kTop2, 3},
    {"TopKBreaksTiesByTheLowerId", {.3, .2, .2, .3}, .99, {.top_k = 3}, 3},
    {"TopKTieLeavesTheHigherIdOut", {.2, .2, .2, .4}, .45, {.top_k = 2}, 3},
    {"TopKOfOneIsGreedy", kFour, .99, {.top_k = 1}, 1},
    {"TopKBeyondTheVocabulary", kFour, .05, {.top_k = 9}, 0},
    {"TopPKeepsTheSmallestSet", kFour, .57, kNucleus, 1},
    {"TopPKeepsWhatReachesIt", kFour, .58, kNucleus, 3},
    {"TopPOfNothingKeepsOne", kFour, .99, {.top_p = 0}, 1},
    {"TopPAfterTopK", kFour, .99, {.top_p = .5, .top_k = 2}, 1},
};

class PickTokenTest : public testing::TestWithParam<PickCase> {};

TEST_P(PickTokenTest, PicksByTheWrittenRule) {
  const PickCase& c = GetParam();
  EXPECT_EQ(PickToken(Logs(c.probabilities), c.draw, c.rule), c.want);
}
INSTANTIATE_TEST_SUITE_P(Table, PickTokenTest, testing::ValuesIn(kCases), [](const auto& p) {
  return std::string(p.param.name);
});

TEST(PickTokenTest, DrawsComeUpAsOftenAsTheirProbability) {
  const std::vector<double> probabilities = {.05, .5, .15, .3};
  const std::vector<float> logs = Logs(probabilities);
  const KeyedRandom random(11, "picks");
  std::vector<int> counts(4, 0);
  constexpr int kDraws = 40000;
  for (int i = 0; i < kDraws; ++i) {
    ++counts[static_cast<std::size_t>(
        PickToken(logs, random.Uniform(static_cast<std::uint64_t>(i)), {}))];
  }
  for (std::size_t k = 0; k < 4; ++k) {
    const double p = probabilities[k];
    EXPECT_NEAR(counts[k], kDraws * p, 4 * std::sqrt(kDraws * p * (1 - p))) << k;
  }
}

TEST(PickTokenTest, TopPAndTopKLeaveOnlyTheirTokens) {
  const std::vector<float> logs = Logs({.05, .35, .1, .3, .2});
  const auto seen = [&](const SamplingRule& rule) {
    std::set<std::int32_t> ids;
    for (int i = 0; i < 1000; ++i)
      ids.insert(PickToken(logs, i / 1000.0, rule));
    return ids;
  };
  EXPECT_EQ(seen({}), (std::set<std::int32_t>{0, 1, 2, 3, 4}));
  EXPECT_EQ(seen({.top_k = 3}), (std::set<std::int32_t>{1, 3, 4}));
  EXPECT_EQ(seen({.top_p = .8}), (std::set<std::int32_t>{1, 3, 4}));
  EXPECT_EQ(seen({.top_p = .9}), (std::set<std::int32_t>{1, 2, 3, 4}));
}

}  // namespace
}  // namespace aha::rollout
