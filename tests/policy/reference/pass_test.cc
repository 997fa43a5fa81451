// The pass on the CPU's kernels beside the same mathematics on LibTorch.

#include <cmath>

#include <ATen/ATen.h>

#include "tests/policy/pass/golden_model.h"
#include "tests/policy/reference/tiny_model.h"

namespace aha::policy {
namespace {

class PassTest : public testing::TestWithParam<std::string> {};

// Gradient of the mean next-token loss by LibTorch's autograd, in the order of Weights::tensors().
std::vector<float> AutogradOf(const Weights& weights, const Sequences& ids) {
  reference::Policy policy = reference::Policy::Of(weights);
  policy.RequireGrad(true);
  const at::Tensor hidden = policy.Forward(reference::PackSequences(ids));
  const Predictions next(ids, 1, 0);
  const std::vector<std::int64_t> rows(next.rows.begin(), next.rows.end());
  const std::vector<std::int64_t> targets(next.targets.begin(), next.targets.end());
  const at::Tensor logprob =
      reference::kernels::LogprobsOf(hidden.index_select(0, at::tensor(rows, at::kLong)),
                                     policy.head(), at::tensor(targets, at::kLong), 1, false)
          .logprob_T;
  (-logprob.mean()).backward();
  std::vector<float> flat;
  for (const reference::NamedTensor& p : policy.parameters()) {
    const at::Tensor grad = p.value.grad().defined()
                                ? p.value.grad().to(at::kFloat).reshape({-1}).contiguous()
                                : at::zeros({p.value.numel()});
    flat.insert(flat.end(), grad.const_data_ptr<float>(),
                grad.const_data_ptr<float>() + grad.numel());
  }
  return flat;
}

std::vector<float> PassGradientOf(const Weights& weights, const Sequences& ids) {
  const cpu::Cpu cpu(*cpu::ChooseKernelTarget(), 1);
  Pass pass(weights, cpu);
  Head head(weights, cpu);
  Tape tape;
  Gradients gradients(weights);
  const WholeBatch batch(ids);
  const Hidden hidden = pass.Forward(batch.batch(), {.tape = &tape});
  const Predictions next(ids, 1, 0);
  const std::vector<float> slopes(next.rows.size(), -1.0F / static_cast<float>(next.rows.size()));
  std::vector<float> dhidden(hidden.tokens * hidden.width);
  const cpu::Rows<float> d(dhidden.data(), hidden.tokens, hidden.width);
  head.LogprobsBackward(hidden, next.rows, next.targets, 1, {slopes}, d, &gradients);
  pass.Backward(tape, d, gradients);
  gradients.Finish(cpu);
  return {gradients.flat().begin(), gradients.flat().end()};
}

double Distance(const std::vector<float>& a, const std::vector<float>& b) {
  double squares = 0, size = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    squares += std::pow(double{a[i]} - b[i], 2);
    size += std::pow(double{b[i]}, 2);
  }
  return std::sqrt(squares / size);
}

// Distances from the fp32 gradient of the same weights.
struct Bf16Errors {
  double mine, torch;
};
Bf16Errors ErrorsOf(const std::string& name, double* fp32 = nullptr) {
  const GoldenModel golden = ReadGoldenModel(name, NumberType::kBf16);
  PolicyConfig wide = golden.config;
  wide.dtype = NumberType::kFp32;
  const Weights half = TinyWeights(golden.config);
  Weights same(wide, WeightsUse::kTraining);
  same.CopyFrom(half);
  const std::vector<float> truth = AutogradOf(same, golden.ids);
  if (fp32 != nullptr) *fp32 = Distance(PassGradientOf(same, golden.ids), truth);
  return {Distance(PassGradientOf(half, golden.ids), truth),
          Distance(AutogradOf(half, golden.ids), truth)};
}

TEST_P(PassTest, GradientsEqualAutogradToRounding) {
  double fp32 = 0;
  const Bf16Errors bf16 = ErrorsOf(GetParam(), &fp32);
  EXPECT_LT(fp32, 1e-5);
  // A token near a tie between experts takes another one, here or there.
  const bool dense = ReadGoldenModel(GetParam()).config.n_routed_experts == 0;
  EXPECT_LT(bf16.mine, dense ? 1.6 * bf16.torch : 0.25);
  RecordProperty("bf16", std::to_string(bf16.mine) + " against " + std::to_string(bf16.torch));
}

TEST(Bf16Test, GradientsAreAsNearToFp32AsLibTorchs) {
  std::vector<double> mine, torch;
  for (const std::string& name : GoldenNames()) {
    const Bf16Errors errors = ErrorsOf(name);
    mine.push_back(errors.mine);
    torch.push_back(errors.torch);
  }
  std::sort(mine.begin(), mine.end());
  std::sort(torch.begin(), torch.end());
  EXPECT_LT(mine[mine.size() / 2], 1.3 * torch[torch.size() / 2]);
}

INSTANTIATE_TEST_SUITE_P(Table, PassTest, testing::ValuesIn(GoldenNames()), [](const auto& p) {
  return p.param;
});

}  // namespace
}  // namespace aha::policy
