#include "policy/kernels/cpu/logits.h"

#include <algorithm>

#include "tests/policy/kernels/kernel_test.h"

namespace aha::policy::cpu {
namespace {

class LogitsTest : public KernelTest {};

template <class T>
struct Head {
  Matrix<T> hidden, weights;
  PackedMatrix packed, transposed;

  Head(std::size_t t, std::size_t h, std::size_t v, float size)
      : hidden(RandomMatrix<T>(t, h, 1)),
        weights(RandomMatrix<T>(v, h, 2, size)),
        packed(v, h, Kind()),
        transposed(h, v, Kind()) {
    packed.Pack(0, std::as_const(weights).rows());
    transposed.PackTransposed(packed);
  }
  static NumberKind Kind() {
    return std::is_same_v<T, Bf16> ? NumberKind::kBf16 : NumberKind::kFp32;
  }
  [[nodiscard]] Rows<const T> rows() const { return hidden.rows(); }

  [[nodiscard]] std::vector<double> Logprobs(std::size_t t, double temperature) const {
    std::vector<double> x(weights.count);
    double most = -1e300, sum = 0;
    for (std::size_t v = 0; v < x.size(); ++v) {
      for (std::size_t i = 0; i < weights.width; ++i)
        x[v] += hidden.at(t, i) * weights.at(v, i) / temperature;
      most = std::max(most, x[v]);
    }
    for (const double v : x)
      sum += std::exp(v - most);
    for (double& v : x)
      v -= most + std::log(sum);
    return x;
  }
};

template <class T>
void ExpectLogprobs(const Cpu& cpu, std::size_t vocabulary, float temperature) {
  const Head<T> head(4, 24, vocabulary, 0.5F);
  std::vector<std::int32_t> targets;
  for (std::size_t t = 0; t < 4; ++t)
    targets.push_back(static_cast<std::int32_t>((t * 7919) % vocabulary));
  float logprob[4], entropy[4];
  std::int32_t likeliest[4];
  LogprobOutputs out;
  out.logprob = logprob;
  out.entropy = entropy;
  out.likeliest = likeliest;
  TokenLogprobs<T>(cpu, head.rows(), head.packed, targets, temperature, out);
  for (std::size_t t = 0; t < 4; ++t) {
    const std::vector<double> want = head.Logprobs(t, temperature);
    double want_entropy = 0;
    for (const double v : want)
      want_entropy -= std::exp(v) * v;
    EXPECT_NEAR(logprob[t], want[static_cast<std::size_t>(targets[t])], 2e-5);
    EXPECT_NEAR(entropy[t], want_entropy, 2e-5);
    EXPECT_EQ(likeliest[t], std::max_element(want.begin(), want.end()) - want.begin());
  }
}

TEST_P(LogitsTest, LogprobsMatchFloat64) {
  for (const std::size_t vocabulary : {2UL, 33UL, 1023UL, 2500UL}) {
    ExpectLogprobs<Bf16>(one, vocabulary, 1);
    ExpectLogprobs<float>(three, vocabulary, 0.7F);
  }
}

TEST_P(LogitsTest, SampledLogprobIsTheLearnersAndIgnoresTheBatch) {
  constexpr std::size_t kRows = 21;
  const Head<Bf16> head(kRows, 40, 700, 0.3F);
  std::vector<SampleRequest> requests;
  for (std::size_t t = 0; t < kRows; ++t)
    requests.push_back({0.8F, static_cast<double>(t) / kRows});
  std::vector<SampledToken> together(kRows), alone(kRows);
  SampleTokens<Bf16>(three, head.rows(), head.packed, requests, together);
  HeadOptions narrow;
  narrow.block_bytes = 1;
  std::vector<std::int32_t> targets;
  for (std::size_t t = 0; t < kRows; ++t) {
    SampleTokens<Bf16>(one, head.hidden.rows(t, 1), head.packed, std::span(requests).subspan(t, 1),
                       std::span(alone).subspan(t, 1));
    EXPECT_EQ(alone[t].token, together[t].token);
    EXPECT_TRUE(SameBits(&alone[t].logprob, &together[t].logprob, 1));
    targets.push_back(together[t].token);
  }
  std::vector<float> logprob(kRows), entropy(kRows);
  LogprobOutputs out;
  out.logprob = logprob.data();
  out.entropy = entropy.data();
  TokenLogprobs<Bf16>(one, head.rows(), head.packed, targets, 0.8F, out, narrow);
  for (std::size_t t = 0; t < kRows; ++t) {
    EXPECT_TRUE(SameBits(&logprob[t], &together[t].logprob, 1));
    EXPECT_TRUE(SameBits(&entropy[t], &together[t].entropy, 1));
  }
}

// docs/sampling.md: identity hidden states make any distribution; probabilities .1 .2 .4 .3 and the
// page's draws.
TEST_P(LogitsTest, DrawsOfTheSamplingPage) {
  const double probabilities[] = {0.1, 0.2, 0.4, 0.3};
  Matrix<float> hidden(4, 1), weights(4, 1);
  hidden.numbers = {1, 1, 1, 1};
  for (std::size_t v = 0; v < 4; ++v)
    weights[v][0] = static_cast<float>(std::log(probabilities[v]));
  PackedMatrix head(4, 1, NumberKind::kFp32);
  head.Pack(0, std::as_const(weights).rows());
  const SampleRequest requests[] = {
      {1, 0.47559012078253815}, {1, 0.07563484050547109}, {1, 0.7005618230498489}, {0, 0.99}};
  SampledToken got[4];
  SampleTokens<float>(one, std::as_const(hidden).rows(), head, requests, got);
  EXPECT_EQ(got[0].token, 2);
  EXPECT_EQ(got[1].token, 0);
  EXPECT_EQ(got[2].token, 3);
  EXPECT_EQ(got[3].token, 2);  // temperature 0: the likeliest
  EXPECT_NEAR(got[3].logprob, std::log(0.4), 1e-6);
}

// The rule in plain code over float64, vocabulary of several blocks, many draws.
TEST_P(LogitsTest, PicksAsTheRuleSays) {
  constexpr std::size_t kVocabulary = 2600;
  const Head<float> head(1, 8, kVocabulary, 1.5F);
  const std::vector<double> logprobs = head.Logprobs(0, 1);
  std::mt19937_64 random(3);
  for (int i = 0; i < 60; ++i) {
    const double draw = i == 0 ? 0 : static_cast<double>(random() >> 11) * 0x1p-53;
    double total = 0, sum = 0;
    for (const double v : logprobs)
      total += std::exp(v);
    std::size_t want = 0;
    while (want + 1 < kVocabulary && (sum += std::exp(logprobs[want])) <= draw * total)
      ++want;
    SampledToken got;
    const SampleRequest request{1, draw};
    SampleTokens<float>(one, head.rows(), head.packed, std::span(&request, 1), std::span(&got, 1));
    // A draw within fp32's error of a border may fall on either side.
    const double below = sum - std::exp(logprobs[want]);
    const bool close = std::min(sum - draw * total, draw * total - below) < 1e-5;
    if (!close) {
      ASSERT_EQ(got.token, static_cast<std::int32_t>(want)) << "draw " << draw;
    }
  }
}

// Tokens are found by sums in fp32 where these decide, else by the rule. Asking for the best of all
// tokens changes nothing, and takes the rule's way. Draws at the borders between tokens, and
// around.
TEST_P(LogitsTest, SumsFindWhatTheRuleFinds) {
  constexpr std::size_t kVocabulary = 1500;
  for (const float size : {0.01F, 1.0F, 6.0F}) {
    const Head<Bf16> head(1, 8, kVocabulary, size);
    const std::vector<double> logprobs = head.Logprobs(0, 1);
    std::vector<double> border = {0};
    for (const double v : logprobs)
      border.push_back(border.back() + std::exp(v));
    std::vector<SampleRequest> requests;
    for (std::size_t i = 0; i < border.size(); i += 7) {
      for (const double beside : {0.0, 1e-12, -1e-9, 1e-8, -1e-7, 1e-6, 1e-5}) {
        const double draw = border[i] / border.back() + beside;
        if (draw >= 0 && draw < 1) requests.push_back({1, draw});
      }
    }
    std::vector<SampledToken> by_sums(requests.size()), by_rule(requests.size());
    Matrix<Bf16> hidden(requests.size(), 8);
    for (std::size_t t = 0; t < requests.size(); ++t)
      std::copy_n(head.hidden[0], 8, hidden[t]);
    SampleTokens<Bf16>(one, std::as_const(hidden).rows(), head.packed, requests, by_sums);
    for (SampleRequest& request : requests)
      request.top_k = kVocabulary;
    SampleTokens<Bf16>(one, std::as_const(hidden).rows(), head.packed, requests, by_rule);
    for (std::size_t t = 0; t < requests.size(); ++t) {
      ASSERT_EQ(by_sums[t].token, by_rule[t].token) << requests[t].draw;
      ASSERT_TRUE(SameBits(&by_sums[t].logprob, &by_rule[t].logprob, 1));
    }
  }
}

TEST_P(LogitsTest, TokensWithoutProbabilityAreNeverDrawn) {
  Matrix<float> hidden(2, 1), weights(40, 1);
  hidden.numbers = {1, 1};
  std::fill(weights.numbers.begin(), weights.numbers.end(), -1e30F);
  weights[17][0] = weights[21][0] = 0;
  PackedMatrix head(40, 1, NumberKind::kFp32);
  head.Pack(0, std::as_const(weights).rows());
  const SampleRequest requests[] = {{1, 0}, {1, 1 - 0x1p-53}};
  SampledToken got[2];
  SampleTokens<float>(one, std::as_const(hidden).rows(), head, requests, got);
  EXPECT_EQ(got[0].token, 17);
  EXPECT_EQ(got[1].token, 21);
  EXPECT_NEAR(got[1].entropy, std::log(2), 1e-6);
}

// Whoever looks at the log-probability sees it; whoever takes the token all the same (a guess)
// stays inside the vocabulary.
TEST_P(LogitsTest, ATokenAfterWhatIsNotANumberIsOneOfTheVocabulary) {
  for (const std::size_t vocabulary : {16UL, 96UL, 100UL, 2048UL}) {
    Matrix<float> hidden(4, 1), weights(vocabulary, 1);
    std::fill(weights.numbers.begin(), weights.numbers.end(), 1.0F);
    std::fill(hidden.numbers.begin(), hidden.numbers.end(), std::nanf(""));
    PackedMatrix head(vocabulary, 1, NumberKind::kFp32);
    head.Pack(0, std::as_const(weights).rows());
    SampleRequest requests[] = {{0, 0.5}, {1, 0.999}, {1, 0.5}, {1, 0.5}};
    requests[2].top_k = 3;
    requests[3].top_p = 0.5F;
    SampledToken got[4];
    SampleTokens<float>(one, std::as_const(hidden).rows(), head, requests, got);
    for (const SampledToken& token : got) {
      EXPECT_GE(token.token, 0) << vocabulary;
      EXPECT_LT(token.token, static_cast<std::int32_t>(vocabulary));
      EXPECT_TRUE(std::isnan(token.logprob));
    }
  }
}

TEST_P(LogitsTest, BackwardMatchesTheFormula) {
  constexpr std::size_t kRows = 5, kWide = 12, kVocabulary = 70;
  const Head<float> head(kRows, kWide, kVocabulary, 0.5F);
  const std::vector<std::int32_t> targets = {3, 69, 0, 40, 3};
  const float dlogprob[] = {1, -0.5F, 0.25F, 2, 0}, dentropy[] = {0.1F, 0, -0.3F, 0.2F, 1};
  constexpr double kTemperature = 0.9;
  Matrix<float> dhidden(kRows, kWide), dhead(kVocabulary, kWide);
  HeadGradient gradient;
  gradient.dlogprob = dlogprob;
  gradient.dentropy = dentropy;
  gradient.head_transposed = &head.transposed;
  gradient.dhidden = dhidden.rows();
  gradient.dhead = dhead.rows();
  HeadOptions options;
  options.block_bytes = 2 * kVocabulary * 8;  // blocks of two rows
  TokenLogprobsBackward<float>(three, head.rows(), head.packed, targets, kTemperature, gradient,
                               options);
  Matrix<double> want_head(kVocabulary, kWide);
  for (std::size_t t = 0; t < kRows; ++t) {
    const std::vector<double> logprobs = head.Logprobs(t, static_cast<float>(kTemperature));
    double entropy = 0;
    for (const double v : logprobs)
      entropy -= std::exp(v) * v;
    std::vector<double> want(kWide, 0);
    for (std::size_t v = 0; v < kVocabulary; ++v) {
      const double p = std::exp(logprobs[v]);
      const double slope =
          (dlogprob[t] * ((static_cast<std::size_t>(targets[t]) == v ? 1 : 0) - p) -
           dentropy[t] * p * (logprobs[v] + entropy)) /
          kTemperature;
      for (std::size_t i = 0; i < kWide; ++i) {
        want[i] += slope * head.weights.at(v, i);
        want_head[v][i] += slope * head.hidden.at(t, i);
      }
    }
    for (std::size_t i = 0; i < kWide; ++i)
      EXPECT_NEAR(dhidden.at(t, i), want[i], 1e-5);
  }
  for (std::size_t i = 0; i < want_head.numbers.size(); ++i)
    ASSERT_NEAR(dhead.numbers[i], want_head.numbers[i], 1e-5);
}

AHA_EVERY_TARGET(LogitsTest);

}  // namespace
}  // namespace aha::policy::cpu
