// The code of the GPU's draw, run on the CPU, beside the CPU's own and docs/sampling.md.

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "base/keyed_random.h"
#include "policy/kernels/cpu/candidates.h"
#include "policy/kernels/cpu/logits_kernels.h"
#include "policy/kernels/cuda/kernels.h"
#include "tests/policy/kernels/kernel_test.h"

namespace aha::policy::cuda {
namespace {

std::vector<DrawnToken> DrawAll(const cpu::Matrix<float>& logits,
                                const std::vector<DrawRequest>& requests,
                                bool backwards = false) {
  std::vector<DrawnToken> out(requests.size());
  HostKernels(backwards)->Draw({logits.numbers.data(), requests.data(), out.data(),
                                static_cast<std::int64_t>(logits.count),
                                static_cast<std::int64_t>(logits.width)});
  return out;
}

// The CPU's token, log-probability and entropy of a row.
DrawnToken CpuDraw(std::vector<float> x, const DrawRequest& r, double draw) {
  const cpu::LogitsKernels& kernels = cpu::LogitsKernelsFor(cpu::SupportedKernelTargets().front());
  const std::size_t n = x.size();
  x.resize(n + 64);
  const cpu::LogitStats stats =
      kernels.stats(x.data(), n, r.temperature == 0 ? 1 : r.temperature, false, nullptr);
  std::int32_t token = kernels.likeliest(x.data(), n, stats);
  if (r.temperature != 0) {
    cpu::KeepCandidates(x.data(), n, stats, {r.top_k, r.top_p, r.min_p});
    cpu::PickRow row{x.data(), stats, draw, 0, nullptr};
    kernels.pick(&row, 1, n);
    token = row.token;
  }
  return {token, (x[static_cast<std::size_t>(token)] - stats.most) - stats.log_sum, stats.entropy};
}

TEST(DeviceDrawTest, TheKeyedDrawIsThatOfKeyedRandom) {
  const KeyedRandom random = KeyedRandom(1, "sample/r1-zero").With(3).With(42).With(5);
  EXPECT_EQ(random.key(), 0x811435c629227227U);
  for (const std::uint64_t position : {0ULL, 1ULL, 2ULL, 4096ULL, 0x123456789ULL})
    EXPECT_EQ(UniformDraw(random.key(), position), random.Uniform(position));
}

TEST(DeviceDrawTest, FollowsTheWorkedExampleOfTheRule) {
  const std::uint64_t key = KeyedRandom(1, "sample/r1-zero").With(3).With(42).With(5).key();
  cpu::Matrix<float> logits(6, 4);
  for (std::size_t r = 0; r < 6; ++r) {
    for (std::size_t i = 0; i < 4; ++i)
      logits[r][i] = std::log(std::array{.1F, .2F, .4F, .3F}[i]);
  }
  std::vector<DrawRequest> requests;
  for (const std::uint32_t top_k : {0U, 2U}) {
    for (const std::uint64_t position : {0U, 1U, 2U})
      requests.push_back({key, position, 1, top_k});
  }
  const std::vector<DrawnToken> drawn = DrawAll(logits, requests);
  const std::int32_t want[] = {2, 0, 3, 2, 2, 3};
  for (std::size_t i = 0; i < 6; ++i)
    EXPECT_EQ(drawn[i].token, want[i]) << i;
}

struct Rule {
  const char* name;
  float temperature, top_p, min_p;
  std::uint32_t top_k;
};

class DeviceDrawRuleTest : public testing::TestWithParam<Rule> {};

TEST_P(DeviceDrawRuleTest, ChoosesTheCpusToken) {
  const Rule& rule = GetParam();
  for (const std::size_t vocabulary : {std::size_t{3}, std::size_t{300}, std::size_t{9001}}) {
    const std::size_t rows = vocabulary > 1000 ? 12 : 60;
    const cpu::Matrix<float> logits =
        cpu::RandomMatrix<float>(rows, vocabulary, static_cast<unsigned>(vocabulary), 2);
    std::vector<DrawRequest> requests;
    for (std::size_t r = 0; r < rows; ++r) {
      requests.push_back({KeyedRandom(5, "test").With(r).key(), r, rule.temperature, rule.top_k,
                          rule.top_p, rule.min_p});
    }
    const std::vector<DrawnToken> drawn = DrawAll(logits, requests);
    const std::vector<DrawnToken> backwards = DrawAll(logits, requests, true);
    for (std::size_t r = 0; r < rows; ++r) {
      const DrawnToken want = CpuDraw({logits[r], logits[r] + vocabulary}, requests[r],
                                      KeyedRandom(5, "test").With(r).Uniform(r));
      EXPECT_EQ(drawn[r].token, want.token) << vocabulary << ", row " << r;
      EXPECT_NEAR(drawn[r].logprob, want.logprob, 3e-6) << vocabulary << ", row " << r;
      EXPECT_NEAR(drawn[r].entropy, want.entropy, 1e-5) << vocabulary << ", row " << r;
      EXPECT_EQ(std::memcmp(&drawn[r], &backwards[r], sizeof(DrawnToken)), 0) << "lanes meet";
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Table,
                         DeviceDrawRuleTest,
                         testing::Values(Rule{"all", 1, 1, 0, 0},
                                         Rule{"greedy", 0, 1, 0, 0},
                                         Rule{"cool", 0.6F, 1, 0, 0},
                                         Rule{"top_k", 1, 1, 0, 7},
                                         Rule{"one", 1, 1, 0, 1},
                                         Rule{"top_p", 1, 0.9F, 0, 0},
                                         Rule{"top_p_0", 1, 0, 0, 0},
                                         Rule{"min_p", 1, 1, 0.1F, 0},
                                         Rule{"all_three", 0.8F, 0.7F, 0.05F, 40}),
                         [](const auto& p) { return std::string(p.param.name); });

TEST(DeviceDrawTest, AmongEqualsTheLowestIdsAreCandidates) {
  cpu::Matrix<float> logits(64, 1000);
  std::vector<DrawRequest> requests;
  for (std::size_t r = 0; r < 64; ++r) {
    std::fill_n(logits[r], 1000, -1.0F);
    for (const std::size_t id : {900U, 7U, 512U, 300U})
      logits[r][id] = 2;
    requests.push_back({r, 0, 1, 3});
  }
  std::vector<std::int32_t> seen;
  for (const DrawnToken& token : DrawAll(logits, requests))
    seen.push_back(token.token);
  std::sort(seen.begin(), seen.end());
  seen.erase(std::unique(seen.begin(), seen.end()), seen.end());
  EXPECT_EQ(seen, (std::vector<std::int32_t>{7, 300, 512}));
}

TEST(DeviceDrawTest, NeverDrawsATokenWithoutProbability) {
  const float low = -std::numeric_limits<float>::infinity();
  cpu::Matrix<float> logits(200, 5000);
  std::vector<DrawRequest> requests;
  for (std::size_t r = 0; r < 200; ++r) {
    std::fill_n(logits[r], 5000, low);
    logits[r][4500] = logits[r][17] = 0;
    requests.push_back({r, 0});
  }
  int high = 0;
  for (const DrawnToken& token : DrawAll(logits, requests)) {
    EXPECT_TRUE(token.token == 17 || token.token == 4500) << token.token;
    EXPECT_FLOAT_EQ(token.logprob, std::log(0.5F));
    high += token.token == 4500 ? 1 : 0;
  }
  EXPECT_NEAR(high, 100, 25);
}

TEST(DeviceDrawTest, ARowThatIsNotFiniteShowsInItsLogprobAlone) {
  cpu::Matrix<float> logits = cpu::RandomMatrix<float>(3, 500, 1);
  logits[1][77] = std::numeric_limits<float>::quiet_NaN();
  logits[2][3] = std::numeric_limits<float>::infinity();
  const std::vector<DrawnToken> drawn = DrawAll(logits, {{1}, {2}, {3}});
  EXPECT_TRUE(std::isfinite(drawn[0].logprob));
  EXPECT_FALSE(std::isfinite(drawn[1].logprob));
  EXPECT_FALSE(std::isfinite(drawn[2].logprob));
}

TEST(DeviceDrawTest, ExponentialsKeepTheirPlaces) {
  for (float x = 0; x > -86; x -= 0.037F) {
    EXPECT_NEAR(ExpLow(x) / std::exp(double{x}), 1, 2.5e-7) << x;
    EXPECT_NEAR(ExpLow64(double{x}) / std::exp(double{x}), 1, 3e-16) << x;
  }
  EXPECT_EQ(ExpLow(0), 1);
  EXPECT_EQ(ExpLow(-200), 0);
  EXPECT_EQ(ExpLow(-std::numeric_limits<float>::infinity()), 0);
  EXPECT_TRUE(std::isnan(ExpLow(std::numeric_limits<float>::quiet_NaN())));
}

}  // namespace
}  // namespace aha::policy::cuda
