// The written rule of docs/sampling.md, through the kernels that the engine draws with.

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>
#include <vector>

#include <gtest/gtest.h>

#include "base/keyed_random.h"
#include "policy/kernels/cpu/logits.h"
#include "policy/kernels/cpu/packed_matrix.h"
#include "tests/rollout/engine_fixture.h"

namespace aha::rollout {
namespace {

std::vector<float> Logs(const std::vector<double>& probabilities) {
  std::vector<float> logs;
  for (const double p : probabilities)
    logs.push_back(static_cast<float>(std::log(p)));
  return logs;
}

struct SamplingRule {
  float temperature = 1, top_p = 1;
  std::uint32_t top_k = 0;
  float min_p = 0;
};

// A head whose logits are the numbers themselves.
std::int32_t PickToken(const std::vector<float>& logs, double draw, const SamplingRule& rule) {
  policy::cpu::PackedMatrix head(logs.size(), 1, policy::cpu::NumberKind::kFp32);
  head.Pack(0, policy::cpu::Rows<const float>(logs.data(), logs.size(), 1));
  const float one = 1;
  const policy::cpu::SampleRequest request{rule.temperature, draw, rule.top_k, rule.top_p,
                                           rule.min_p};
  policy::cpu::SampledToken token;
  policy::cpu::SampleTokens<float>(TestCpu(), {&one, 1, 1}, head, {&request, 1}, {&token, 1});
  return token.token;
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
const SamplingRule kNucleus{.top_p = .6F};  // .4 and .3 reach it

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
    // At least half of the largest .4: .4, .2 and .3.
    {"MinPLeavesOutTheUnlikely", kFour, 0, {.min_p = .49F}, 1},
    {"MinPKeepsTheRest", kFour, .5, {.min_p = .49F}, 2},
    {"MinPOfOneIsGreedy", kFour, .99, {.min_p = 1}, 1},
    {"MinPAfterTopK", kFour, .99, {.top_k = 2, .min_p = .8F}, 1},
    {"TopPAfterTopK", kFour, .99, {.top_p = .5F, .top_k = 2}, 1},
};

class PickTokenTest : public testing::TestWithParam<PickCase> {};

TEST_P(PickTokenTest, PicksByTheWrittenRule) {
  const PickCase& c = GetParam();
  EXPECT_EQ(PickToken(Logs(c.probabilities), c.draw, c.rule), c.want);
}
INSTANTIATE_TEST_SUITE_P(Table, PickTokenTest, testing::ValuesIn(kCases), [](const auto& p) {
  return std::string(p.param.name);
});

// The rule, slowly: sort all, cut, add up.
std::int32_t PickSlowly(const std::vector<float>& logs, double draw, const SamplingRule& rule) {
  double sum = 0;
  float most = logs[0];
  for (const float l : logs)
    most = std::max(most, l);
  for (const float l : logs)
    sum += std::exp(double{l} - double{most});
  const auto probability = [&](std::size_t id) {
    return std::exp(double{logs[id]} - double{most}) / sum;
  };
  std::vector<std::size_t> ids(logs.size());
  for (std::size_t i = 0; i < ids.size(); ++i)
    ids[i] = i;
  std::stable_sort(ids.begin(), ids.end(),
                   [&](std::size_t a, std::size_t b) { return logs[a] > logs[b]; });
  const double largest = probability(ids[0]);
  if (rule.top_k > 0 && rule.top_k < ids.size()) ids.resize(rule.top_k);
  double total = 0, running = 0;
  for (const std::size_t id : ids)
    total += probability(id);
  std::size_t kept = 0;
  while (kept < ids.size() &&
         (kept == 0 || rule.top_p >= 1 || running < double{rule.top_p} * total))
    running += probability(ids[kept++]);
  ids.resize(kept);
  std::erase_if(ids,
                [&](std::size_t id) { return probability(id) < double{rule.min_p} * largest; });
  std::sort(ids.begin(), ids.end());
  total = running = 0;
  for (const std::size_t id : ids)
    total += probability(id);
  for (const std::size_t id : ids) {
    running += probability(id);
    if (running > draw * total) return static_cast<std::int32_t>(id);
  }
  return static_cast<std::int32_t>(ids.back());
}

TEST(PickTokenTest, LargeVocabulariesAreCutByTheSameRule) {
  const KeyedRandom random(5, "logits");
  std::vector<float> logs(3001);
  for (std::size_t i = 0; i < logs.size(); ++i)
    logs[i] = static_cast<float>(std::round(random.Normal(i) * 8) / 4);  // many equals
  for (const SamplingRule& rule :
       {SamplingRule{}, SamplingRule{.top_k = 1}, SamplingRule{.top_k = 700},
        SamplingRule{.top_p = .3F}, SamplingRule{.top_p = .999F}, SamplingRule{.min_p = .02F},
        SamplingRule{.top_p = .9F, .top_k = 1000, .min_p = .01F}}) {
    for (std::uint64_t i = 0; i < 200; ++i) {
      const double draw = KeyedRandom(6, "draws").Uniform(i);
      ASSERT_EQ(PickToken(logs, draw, rule), PickSlowly(logs, draw, rule))
          << "top_k " << rule.top_k << " top_p " << rule.top_p << " draw " << i;
    }
  }
}

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
  EXPECT_EQ(seen({.top_p = .8F}), (std::set<std::int32_t>{1, 3, 4}));
  EXPECT_EQ(seen({.min_p = .5F}), (std::set<std::int32_t>{1, 3, 4}));
  EXPECT_EQ(seen({.top_p = .9F}), (std::set<std::int32_t>{1, 2, 3, 4}));
}

}  // namespace
}  // namespace aha::rollout
