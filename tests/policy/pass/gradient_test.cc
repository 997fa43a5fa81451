// Gradients: the same bits however a batch is cut, with any number of threads, recomputed or kept;
// and right where transformers has nothing to compare with.

#include <cmath>
#include <cstring>

#include "base/keyed_random.h"
#include "policy/model/balance.h"
#include "policy/model/tape_size.h"
#include "tests/policy/pass/golden_model.h"

namespace aha::policy {
namespace {

constexpr float kTemperature = 0.8F;
constexpr float kBalance = 0.05F;

// A loss with everything in it: weighted log-probabilities, entropy, balance, two tokens ahead.
struct Losses {
  double value = 0;
  std::vector<float> gradient;
};

float WeightOf(std::int32_t row, std::size_t sequence) {
  return 0.1F * static_cast<float>((row * 7 + static_cast<std::int32_t>(sequence) * 3) % 5 - 2) / 8;
}

struct Setting {
  int threads = 1;
  bool recompute = false;
  bool to_trunk = true;
  bool entropy = true;
};

// Adds one micro-batch; `first` is the number of its first sequence in the whole batch.
double AddMicroBatch(const Weights& weights,
                     const cpu::Cpu& cpu,
                     Pass& pass,
                     Head& head,
                     const Setting& setting,
                     const Sequences& ids,
                     std::size_t first,
                     Tape& tape,
                     Tape& mtp_tape,
                     Gradients& gradients) {
  const WholeBatch batch(ids);
  const Hidden hidden = pass.Forward(batch.batch(), {.tape = &tape});
  const Predictions next(ids, 1, 0);
  std::vector<float> logprob(next.rows.size()), entropy(next.rows.size()), slopes, entropy_slopes;
  head.Logprobs(hidden, next.rows, next.targets, kTemperature, logprob, entropy);
  double loss = kBalance * tape.balance_loss();
  std::size_t n = 0;
  for (std::size_t s = 0; s < ids.size(); ++s) {
    for (std::size_t i = 0; i + 1 < ids[s].size(); ++i, ++n) {
      slopes.push_back(WeightOf(static_cast<std::int32_t>(i), first + s));
      entropy_slopes.push_back(setting.entropy ? 0.02F : 0.0F);
      loss += double{slopes.back()} * logprob[n] + double{entropy_slopes.back()} * entropy[n];
    }
  }
  std::vector<float> dhidden(hidden.tokens * hidden.width);
  const cpu::Rows<float> d(dhidden.data(), hidden.tokens, hidden.width);
  head.LogprobsBackward(hidden, next.rows, next.targets, kTemperature, {slopes, entropy_slopes}, d,
                        &gradients);
  const MtpRows mtp(ids);
  if (weights.mtp() && !mtp.rows.empty()) {
    Workspace memory;
    const Hidden ahead = pass.ForwardMtp(
        mtp.batch.batch(), GatherRows(cpu, hidden, mtp.rows, memory), {.tape = &mtp_tape});
    const Predictions two(ids, 2, 1);
    std::vector<float> far(two.rows.size()), dahead(ahead.tokens * ahead.width),
        dbelow(dahead.size(), 0.0F);
    head.Logprobs(ahead, two.rows, two.targets, 1, far);
    const std::vector<float> far_slopes(far.size(), -0.03F);
    for (const float l : far)
      loss -= 0.03 * l;
    loss += kBalance * mtp_tape.balance_loss();
    head.LogprobsBackward(ahead, two.rows, two.targets, 1, {far_slopes},
                          cpu::Rows<float>(dahead.data(), ahead.tokens, ahead.width),
                          setting.to_trunk ? &gradients : nullptr, TableUse::kMtpHead);
    MtpBackwardOptions options;
    options.balance = kBalance;
    options.embedding = setting.to_trunk;
    if (setting.to_trunk)
      options.dtrunk = cpu::Rows<float>(dbelow.data(), ahead.tokens, ahead.width);
    pass.BackwardMtp(mtp_tape, cpu::Rows<const float>(dahead.data(), ahead.tokens, ahead.width),
                     gradients, options);
    for (std::size_t m = 0; m < mtp.rows.size(); ++m) {
      for (std::size_t i = 0; i < hidden.width; ++i)
        d[static_cast<std::size_t>(mtp.rows[m])][i] += dbelow[m * hidden.width + i];
    }
  }
  pass.Backward(tape, d, gradients, {.balance = kBalance});
  return loss;
}

Losses LossesOf(const Weights& weights,
                const Sequences& ids,
                const std::vector<std::size_t>& cuts,
                const Setting& setting) {
  const cpu::Cpu cpu(*cpu::ChooseKernelTarget(), setting.threads);
  Pass pass(weights, cpu);
  Head head(weights, cpu);
  Gradients gradients(weights);
  Tape tape(setting.recompute), mtp_tape(setting.recompute);
  Losses out;
  std::size_t first = 0;
  for (const std::size_t count : cuts) {
    const Sequences part(ids.begin() + static_cast<std::ptrdiff_t>(first),
                         ids.begin() + static_cast<std::ptrdiff_t>(first + count));
    out.value +=
        AddMicroBatch(weights, cpu, pass, head, setting, part, first, tape, mtp_tape, gradients);
    first += count;
  }
  EXPECT_EQ(first, ids.size());
  gradients.Finish(cpu);
  out.gradient.assign(gradients.flat().begin(), gradients.flat().end());
  return out;
}

Sequences RandomSequences(const PolicyConfig& config, const std::vector<std::size_t>& lengths) {
  Sequences sequences;
  for (std::size_t s = 0; s < lengths.size(); ++s) {
    const KeyedRandom random = KeyedRandom(11, "gradient").With(s);
    auto& ids = sequences.emplace_back();
    for (std::size_t i = 0; i < lengths[s]; ++i)
      ids.push_back(static_cast<std::int32_t>(random.Integer(i, 0, config.vocab_size - 1)));
  }
  return sequences;
}

class GradientTest : public testing::TestWithParam<std::string> {};

TEST_P(GradientTest, MicroBatchesThreadsAndRecomputationChangeNoBit) {
  for (const NumberType type : {NumberType::kFp32, NumberType::kBf16}) {
    const GoldenModel golden = ReadGoldenModel(GetParam(), type);
    const Weights weights = TinyWeights(golden.config);
    const Sequences ids = RandomSequences(golden.config, {9, 40, 3, 17, 70, 2, 33});
    const Losses want = LossesOf(weights, ids, {7}, {});
    const struct {
      std::vector<std::size_t> cuts;
      Setting setting;
    } others[] = {{{1, 1, 1, 1, 1, 1, 1}, {2, false}},
                  {{3, 4}, {1, true}},
                  {{2, 1, 3, 1}, {2, true}},
                  {{7}, {2, false}}};
    for (const auto& other : others) {
      const Losses got = LossesOf(weights, ids, other.cuts, other.setting);
      std::size_t differing = 0;
      for (std::size_t i = 0; i < want.gradient.size(); ++i)
        differing += std::memcmp(&got.gradient[i], &want.gradient[i], sizeof(float)) != 0 ? 1 : 0;
      EXPECT_EQ(differing, 0U) << other.cuts.size() << " micro-batches, " << other.setting.threads
                               << " threads";
    }
  }
}

TEST_P(GradientTest, ATapeTakesTheMemoryThatWasForetold) {
  for (const NumberType type : {NumberType::kFp32, NumberType::kBf16}) {
    const GoldenModel golden = ReadGoldenModel(GetParam(), type);
    const Weights weights = TinyWeights(golden.config);
    const cpu::Cpu cpu(*cpu::ChooseKernelTarget(), 1);
    const WholeBatch batch(RandomSequences(golden.config, std::vector<std::size_t>(20, 50)));
    Pass pass(weights, cpu);
    Tape tape;
    for (int k = 0; k < 2; ++k)  // the first pass takes its memory in pieces
      pass.Forward(batch.batch(), {.tape = &tape});
    const auto foretold = static_cast<double>(TapeBytes(golden.config, 1000));
    EXPECT_NEAR(static_cast<double>(tape.bytes()) / foretold, 1, 0.1);
    const std::size_t kept = tape.bytes();
    tape.set_recompute(true);
    pass.Forward(batch.batch(), {.tape = &tape});
    EXPECT_LT(tape.bytes(), kept / 2);
  }
}

// Rounding to bf16 is noise around the gradient of the same weights in fp32.
TEST_P(GradientTest, Bf16IsNearFp32OfTheSameWeights) {
  const GoldenModel golden = ReadGoldenModel(GetParam(), NumberType::kBf16);
  PolicyConfig wide = golden.config;
  wide.dtype = NumberType::kFp32;
  const Weights weights = TinyWeights(golden.config);
  Weights same(wide, WeightsUse::kTraining);
  same.CopyFrom(weights);
  const Sequences ids = RandomSequences(golden.config, {40, 24, 33});
  const Losses got = LossesOf(weights, ids, {3}, {});
  const Losses want = LossesOf(same, ids, {3}, {});
  double error = 0, size = 0;
  for (std::size_t i = 0; i < want.gradient.size(); ++i) {
    error += std::pow(double{got.gradient[i]} - want.gradient[i], 2);
    size += std::pow(double{want.gradient[i]}, 2);
  }
  const double relative = std::sqrt(error / size);
  RecordProperty("relative_error", std::to_string(relative));
  EXPECT_LT(relative, 0.25);  // a token near a tie between experts may choose another one
}

// Along random directions of one kind of tensor at a time.
TEST_P(GradientTest, EqualsFiniteDifferences) {
  const GoldenModel golden = ReadGoldenModel(GetParam());
  Weights weights = TinyWeights(golden.config);
  const Sequences ids = RandomSequences(golden.config, {6, 11});
  const Losses at = LossesOf(weights, ids, {2}, {});
  for (std::size_t t = 0; t < weights.tensors().size(); ++t) {
    const Weights::Tensor& tensor = weights.tensors()[t];
    if (!tensor.spec.trainable || tensor.spec.expert > 1) continue;
    std::vector<float> start(tensor.numbers()), direction(tensor.numbers());
    weights.Read(t, 0, cpu::Rows<float>(start.data(), tensor.rows, tensor.columns));
    double slope = 0, length = 0;
    for (std::size_t i = 0; i < direction.size(); ++i) {
      direction[i] = static_cast<float>(KeyedRandom(3, "direction").With(t).Normal(i));
      slope += double{direction[i]} * at.gradient[tensor.offset + i];
      length += double{direction[i]} * direction[i];
    }
    const double step = 2e-3 / std::sqrt(length);
    const auto value_at = [&](double x) {
      std::vector<float> moved(start);
      for (std::size_t i = 0; i < moved.size(); ++i)
        moved[i] += static_cast<float>(x * direction[i]);
      weights.Write(t, 0, cpu::Rows<const float>(moved.data(), tensor.rows, tensor.columns));
      return LossesOf(weights, ids, {2}, {}).value;
    };
    const double numeric = (value_at(step) - value_at(-step)) / (2 * step);
    weights.Write(t, 0, cpu::Rows<const float>(start.data(), tensor.rows, tensor.columns));
    EXPECT_NEAR(numeric, slope, 2e-3 * std::sqrt(length) * 0.05 + 0.01 * std::abs(slope))
        << tensor.spec.name;
  }
}

INSTANTIATE_TEST_SUITE_P(Table,
                         GradientTest,
                         testing::Values("deepseek_v3_mtp",
                                         "deepseek_v3_yarn_bias",
                                         "deepseek_v2_grouped",
                                         "qwen2_tied",
                                         "qwen2_moe",
                                         "qwen3_moe",
                                         "llama_bias_linear"),
                         [](const auto& p) { return p.param; });

TEST(MtpGradientTest, DetachedLeavesTrunkEmbeddingAndHeadAlone) {
  const GoldenModel golden = ReadGoldenModel("deepseek_v3_mtp");
  PolicyConfig without = golden.config;
  const Weights weights = TinyWeights(golden.config);
  const Sequences ids = RandomSequences(golden.config, {12, 5});
  const Losses detached = LossesOf(weights, ids, {2}, {.to_trunk = false});
  without.num_nextn_predict_layers = 0;
  const Weights trunk = TinyWeights(without);
  const Losses alone = LossesOf(trunk, ids, {2}, {});
  for (const Weights::Tensor& tensor : trunk.tensors()) {
    if (!tensor.spec.trainable) continue;
    const Weights::Tensor& same = weights.tensors()[*weights.IndexOf(tensor.spec.name)];
    for (std::size_t i = 0; i < tensor.numbers(); ++i) {
      ASSERT_EQ(detached.gradient[same.offset + i], alone.gradient[tensor.offset + i])
          << tensor.spec.name;
    }
  }
  double module = 0;
  for (const Weights::Tensor& tensor : weights.tensors()) {
    if (tensor.spec.layer != golden.config.num_hidden_layers || !tensor.spec.trainable) continue;
    for (std::size_t i = 0; i < tensor.numbers(); ++i)
      module += std::abs(detached.gradient[tensor.offset + i]);
  }
  EXPECT_GT(module, 0);
}

// facts worked by hand: s [[.9,.6,.3,.2],[.8,.1,.7,.4]], K = 2: f [2,1,1,0], P [.425,.175,.25,.15].
TEST(BalanceTest, WorkedExample) {
  const cpu::Cpu cpu(cpu::KernelTarget::kPortable, 1);
  const std::vector<float> scores = {.9F, .6F, .3F, .2F, .8F, .1F, .7F, .4F};
  const std::vector<std::int64_t> start = {0, 2};
  EXPECT_NEAR(BalanceLoss(cpu, cpu::Rows<const float>(scores.data(), 2, 4), start, 2), 1.275, 1e-6);
}

TEST(BalanceTest, GradientEqualsFiniteDifferences) {
  const cpu::Cpu cpu(*cpu::ChooseKernelTarget(), 1);
  const std::vector<std::int64_t> start = {0, 3, 5};
  for (const auto score : {cpu::RouterRule::Score::kSigmoid, cpu::RouterRule::Score::kSoftmax}) {
    cpu::RouterRule rule;
    rule.score = score;
    rule.experts_per_token = 2;
    std::vector<double> logits(5 * 6);
    for (std::size_t i = 0; i < logits.size(); ++i)
      logits[i] = KeyedRandom(2, "logits").Normal(i);
    const auto scores_of = [&](const std::vector<double>& x) {
      std::vector<float> scores(x.size());
      for (std::size_t t = 0; t < 5; ++t) {
        double sum = 0;
        for (std::size_t e = 0; e < 6; ++e)
          sum += std::exp(x[t * 6 + e]);
        for (std::size_t e = 0; e < 6; ++e) {
          const double l = x[t * 6 + e];
          scores[t * 6 + e] =
              static_cast<float>(score == cpu::RouterRule::Score::kSigmoid ? 1 / (1 + std::exp(-l))
                                                                           : std::exp(l) / sum);
        }
      }
      return scores;
    };
    std::vector<float> gradient(logits.size(), 0.0F);
    const std::vector<float> scores = scores_of(logits);
    AddBalanceGradient(cpu, cpu::Rows<const float>(scores.data(), 5, 6), start, rule, 0.5F,
                       cpu::Rows<float>(gradient.data(), 5, 6));
    for (std::size_t i = 0; i < logits.size(); ++i) {
      const auto at = [&](double step) {
        std::vector<double> moved(logits);
        moved[i] += step;
        const std::vector<float> s = scores_of(moved);
        return BalanceLoss(cpu, cpu::Rows<const float>(s.data(), 5, 6), start, 2);
      };
      EXPECT_NEAR(0.5 * (at(1e-3) - at(-1e-3)) / 2e-3, gradient[i], 1e-4);
    }
  }
}

}  // namespace
}  // namespace aha::policy
