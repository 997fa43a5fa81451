// What transformers computes on tiny models of every family: see tests/golden/make_model_golden.py.

#include <cmath>

#include "tests/policy/pass/golden_model.h"

namespace aha::policy {
namespace {

using Json = nlohmann::ordered_json;

std::vector<float> LogitsOf(Head& head, const Weights& weights, const Hidden& hidden) {
  std::vector<float> logits(hidden.tokens * static_cast<std::size_t>(weights.config().vocab_size));
  head.Logits(hidden, AllRows(hidden.tokens),
              cpu::Rows<float>(logits.data(), hidden.tokens, logits.size() / hidden.tokens));
  return logits;
}

double MaxDifference(const std::vector<float>& logits, const Json& want) {
  double worst = 0;
  std::size_t i = 0;
  for (const Json& row : want) {
    for (const Json& number : row)
      worst = std::max(worst, std::abs(logits[i++] - number.get<double>()));
  }
  EXPECT_EQ(i, logits.size());
  return worst;
}

// Mean NLL of predictions; its gradient times `scale` into dhidden and gradients.
double Loss(Head& head,
            const Hidden& hidden,
            const Predictions& p,
            double scale,
            std::vector<float>& dhidden,
            Gradients& gradients,
            TableUse use) {
  std::vector<float> logprob(p.rows.size());
  head.Logprobs(hidden, p.rows, p.targets, 1, logprob);
  const std::vector<float> slopes(p.rows.size(),
                                  static_cast<float>(-scale / static_cast<double>(p.rows.size())));
  dhidden.resize(hidden.tokens * hidden.width);
  head.LogprobsBackward(hidden, p.rows, p.targets, 1, {slopes},
                        cpu::Rows<float>(dhidden.data(), hidden.tokens, hidden.width), &gradients,
                        use);
  double sum = 0;
  for (const float l : logprob)
    sum -= l;
  return sum / static_cast<double>(p.rows.size());
}

class PassGoldenTest : public testing::TestWithParam<std::string> {};

TEST_P(PassGoldenTest, LogitsLossAndGradientsEqualTransformers) {
  const GoldenModel golden = ReadGoldenModel(GetParam());
  const Weights weights = TinyWeights(golden.config);
  const cpu::Cpu cpu(*cpu::ChooseKernelTarget(), 2);
  Pass pass(weights, cpu);
  Head head(weights, cpu);
  Gradients gradients(weights);
  Tape tape, mtp_tape;
  const WholeBatch batch(golden.ids);
  const Hidden hidden = pass.Forward(batch.batch(), {.tape = &tape});
  const double difference = MaxDifference(LogitsOf(head, weights, hidden), golden.json["logits"]);
  EXPECT_LT(difference, 1e-5);
  RecordProperty("max_difference", std::to_string(difference * 1e6) + "e-6");
  std::vector<float> dhidden;
  EXPECT_NEAR(
      Loss(head, hidden, Predictions(golden.ids, 1, 0), 1, dhidden, gradients, TableUse::kHead),
      golden.json["loss"].get<double>(), 1e-5);
  const cpu::Rows<float> dtrunk(dhidden.data(), hidden.tokens, hidden.width);
  if (golden.json.contains("mtp_loss")) {
    const MtpRows mtp(golden.ids);
    Workspace memory;
    const Hidden trunk = GatherRows(cpu, hidden, mtp.rows, memory);
    const Hidden ahead = pass.ForwardMtp(mtp.batch.batch(), trunk, {.tape = &mtp_tape});
    EXPECT_LT(MaxDifference(LogitsOf(head, weights, ahead), golden.json["mtp_logits"]), 1e-5);
    std::vector<float> dahead;
    EXPECT_NEAR(Loss(head, ahead, Predictions(golden.ids, 2, 1), 0.3, dahead, gradients,
                     TableUse::kMtpHead),
                golden.json["mtp_loss"].get<double>(), 1e-5);
    std::vector<float> dbelow(dahead.size(), 0.0F);
    MtpBackwardOptions options;
    options.dtrunk = cpu::Rows<float>(dbelow.data(), ahead.tokens, ahead.width);
    pass.BackwardMtp(mtp_tape, cpu::Rows<const float>(dahead.data(), ahead.tokens, ahead.width),
                     gradients, options);
    for (std::size_t n = 0; n < mtp.rows.size(); ++n) {
      for (std::size_t i = 0; i < hidden.width; ++i)
        dtrunk[static_cast<std::size_t>(mtp.rows[n])][i] += dbelow[n * hidden.width + i];
    }
  }
  pass.Backward(tape, dtrunk, gradients);
  gradients.Finish(cpu);
  double worst = 0;
  const Json& want = golden.json["gradients"];
  for (const Weights::Tensor& tensor : weights.tensors()) {
    if (!tensor.spec.trainable) continue;
    ASSERT_TRUE(want.contains(tensor.spec.name)) << tensor.spec.name;
    const Json& g = want[tensor.spec.name];
    const auto mine = gradients.flat().subspan(tensor.offset, tensor.numbers());
    double squares = 0;
    for (const float x : mine)
      squares += double{x} * double{x};
    const auto norm = g["norm"].get<double>();
    // Gradients that vanish but for rounding (a key's bias under softmax) have no relative error.
    const double scale = std::max(norm, 1e-5);
    double here = std::abs(std::sqrt(squares) - norm) / scale;
    for (std::size_t i = 0; i < g["places"].size(); ++i) {
      here = std::max(
          here,
          std::abs(mine[g["places"][i].get<std::size_t>()] - g["values"][i].get<double>()) / scale);
    }
    EXPECT_LT(here, 1e-3) << tensor.spec.name;
    worst = std::max(worst, here);
  }
  RecordProperty("gradient_difference", std::to_string(worst * 1e6) + "e-6");
}

TEST_P(PassGoldenTest, Bf16ChoosesTheTokensThatTransformersChooses) {
  const GoldenModel golden = ReadGoldenModel(GetParam(), NumberType::kBf16);
  const Weights weights = TinyWeights(golden.config, WeightsUse::kInference);
  const cpu::Cpu cpu(*cpu::ChooseKernelTarget(), 1);
  Pass pass(weights, cpu);
  Head head(weights, cpu);
  const WholeBatch batch(golden.ids);
  const std::vector<float> logits = LogitsOf(head, weights, pass.Forward(batch.batch()));
  const auto vocab = static_cast<std::size_t>(golden.config.vocab_size);
  std::size_t row = 0, agree = 0;
  for (const Json& want : golden.json["logits_bf16"]) {
    const auto numbers = want.get<std::vector<float>>();
    const auto best = std::max_element(numbers.begin(), numbers.end()) - numbers.begin();
    const auto mine =
        std::max_element(logits.begin() + static_cast<std::ptrdiff_t>(row * vocab),
                         logits.begin() + static_cast<std::ptrdiff_t>((row + 1) * vocab));
    agree += (mine - logits.begin()) - static_cast<std::ptrdiff_t>(row * vocab) == best ? 1 : 0;
    ++row;
  }
  EXPECT_GE(agree, row * 9 / 10);
  RecordProperty("bf16_agree", std::to_string(agree) + "/" + std::to_string(row));
}

INSTANTIATE_TEST_SUITE_P(Table,
                         PassGoldenTest,
                         testing::ValuesIn(GoldenNames()),
                         [](const auto& p) { return p.param; });

}  // namespace
}  // namespace aha::policy
