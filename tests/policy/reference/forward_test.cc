#include <cmath>

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "policy/reference/policy.h"
#include "tests/policy/reference/tiny_model.h"

namespace aha::policy::reference {
namespace {

const std::vector<std::int32_t> kIds = {1, 5, 9, 3, 14};

TEST(HashFillTest, StartsWithThePublishedValues) {
  const Policy policy = TinyPolicy();
  const auto* head = policy.head().leaf().const_data_ptr<float>();
  EXPECT_NEAR(head[0], -.295673527, 1e-7);
  EXPECT_NEAR(head[1], -.065328558, 1e-7);
}

TEST(ForwardTest, LogitsEqualTheIndependentReference) {
  const Policy policy = TinyPolicy();
  ForwardTrace trace;
  const at::Tensor hidden = policy.Forward(PackSequences({kIds}), &trace);
  const at::Tensor logits = kernels::Logits(hidden, policy.head());
  const double want[] = {1.271236, .824964, 1.721443, 1.149064, -1.82923, .106424};
  for (int i = 0; i < 6; ++i)
    EXPECT_NEAR(logits[4][i].item<double>(), want[i], 2e-6) << i;
  // {4,5,7},{4,5,7},{2,3,5},{2,6,7},{2,3,6}
  const at::Tensor load = at::tensor({0, 0, 3, 2, 2, 3, 2, 3}, at::kLong);
  ASSERT_EQ(trace.expert_load.size(), 1U);
  EXPECT_TRUE(trace.expert_load[0].equal(load)) << trace.expert_load[0];
}

TEST(ForwardTest, LossAndGradientsEqualTheIndependentReference) {
  Policy policy = TinyPolicy();
  policy.RequireGrad(true);
  const at::Tensor hidden = policy.Forward(PackSequences({kIds}));
  const at::Tensor target = at::tensor({5, 9, 3, 14}, at::kLong);
  const at::Tensor logprob =
      kernels::LogprobsOf(hidden.slice(0, 0, 4), policy.head(), target, 1, false).logprob_T;
  const at::Tensor loss = -logprob.mean();
  EXPECT_NEAR(loss.item<double>(), 3.3380893, 2e-6);
  loss.backward();
  double squares = 0;
  for (const NamedTensor& p : policy.parameters()) {
    if (!p.value.grad().defined()) continue;
    const double norm = p.value.grad().norm().item<double>();
    squares += norm * norm;
    if (p.name == "model.layers.1.mlp.gate.weight") {
      EXPECT_NEAR(norm, .1149147, 1e-6);
    }
    if (p.name == "model.layers.0.self_attn.kv_a_proj_with_mqa.weight") {
      EXPECT_NEAR(norm, 3.7457083, 1e-5);
    }
  }
  EXPECT_NEAR(std::sqrt(squares), 12.31021, 1e-4);
}

struct FamilyValues {
  const char* name;
  Family family;
  bool tied;
  std::vector<double> logits;  // of the last position, the first six
  double loss, gradient_norm;
};

class FamilyForwardTest : public testing::TestWithParam<FamilyValues> {};

TEST_P(FamilyForwardTest, EqualsTheIndependentReference) {
  const FamilyValues& want = GetParam();
  PolicyConfig config = TinyConfig();
  config.family = want.family;
  config.num_key_value_heads = 1;
  config.head_dim = 8;
  config.tie_word_embeddings = want.tied;
  config.yarn.reset();
  const auto parsed = ParseConfig(ConfigJson(config), want.name);
  ASSERT_TRUE(parsed) << parsed.error().message;
  Policy policy = TinyPolicy(*parsed);
  policy.RequireGrad(true);
  const at::Tensor hidden = policy.Forward(PackSequences({kIds}));
  const at::Tensor logits = kernels::Logits(hidden, policy.head());
  for (int i = 0; i < 6; ++i)
    EXPECT_NEAR(logits[4][i].item<double>(), want.logits[static_cast<std::size_t>(i)], 2e-6) << i;
  const at::Tensor target = at::tensor({5, 9, 3, 14}, at::kLong);
  const at::Tensor loss =
      -kernels::LogprobsOf(hidden.slice(0, 0, 4), policy.head(), target, 1, false).logprob_T.mean();
  EXPECT_NEAR(loss.item<double>(), want.loss, 2e-6);
  loss.backward();
  double squares = 0;
  for (const NamedTensor& p : policy.parameters()) {
    if (p.value.grad().defined()) squares += std::pow(p.value.grad().norm().item<double>(), 2);
  }
  EXPECT_NEAR(std::sqrt(squares), want.gradient_norm, 1e-4);
}

INSTANTIATE_TEST_SUITE_P(
    Table,
    FamilyForwardTest,
    testing::Values(FamilyValues{"Llama",
                                 Family::kLlama,
                                 false,
                                 {.660057, -1.068359, .091034, .249683, .773468, -.567421},
                                 3.1672387,
                                 9.768751},
                    FamilyValues{"Qwen2",
                                 Family::kQwen2,
                                 true,
                                 {.513667, .026931, .480071, -.127414, -.448378, .094172},
                                 3.1774257,
                                 7.475594}),
    [](const auto& p) { return std::string(p.param.name); });

TEST(ForwardTest, CachedDecodingGivesTheLogitsOfOnePass) {
  const Policy policy = TinyPolicy();
  const at::Tensor whole = policy.Forward(PackSequences({kIds, {7, 2, 2}}));
  KvPages cache = MakeKvPages(policy.config(), 8, 2);
  const std::vector<std::int64_t> pages_a = {5, 0, 3}, pages_b = {1, 2};
  // Prompts of different lengths, then one token at a time, in pages out of order.
  at::Tensor first =
      policy.Forward(PackCached({{{1, 5, 9}, 0, &pages_a}, {{7}, 0, &pages_b}}, cache));
  EXPECT_TRUE(at::allclose(first.slice(0, 0, 3), whole.slice(0, 0, 3), 1e-5, 1e-5));
  at::Tensor second = policy.Forward(PackCached({{{3}, 3, &pages_a}, {{2}, 1, &pages_b}}, cache));
  at::Tensor third = policy.Forward(PackCached({{{14}, 4, &pages_a}, {{2}, 2, &pages_b}}, cache));
  EXPECT_TRUE(at::allclose(second[0], whole[3], 1e-5, 1e-5));
  EXPECT_TRUE(at::allclose(third[0], whole[4], 1e-5, 1e-5));
  EXPECT_TRUE(at::allclose(third[1], whole[7], 1e-5, 1e-5));
}

TEST(ForwardTest, SequencesOfABatchDoNotSeeEachOther) {
  const Policy policy = TinyPolicy();
  const at::Tensor alone = policy.Forward(PackSequences({{7, 2, 2}}));
  const at::Tensor packed = policy.Forward(PackSequences({kIds, {7, 2, 2}, {4}}));
  EXPECT_TRUE(at::allclose(packed.slice(0, 5, 8), alone, 1e-5, 1e-5));
}

TEST(RopeTest, YarnFrequenciesEqualTheWorkedValues) {
  PolicyConfig c;
  c.qk_rope_head_dim = 8;
  c.yarn = YarnScaling{4, 32, 1, 1, 1, 64};
  const at::Tensor small = RopeFrequencies(c);
  const double want[] = {1, .0625, .0025, .00025};
  for (int j = 0; j < 4; ++j)
    EXPECT_NEAR(small[j].item<double>(), want[j], 1e-8) << j;
  c.qk_rope_head_dim = 64;
  c.yarn = YarnScaling{40, 32, 1, 1, 1, 4096};
  const at::Tensor v3 = RopeFrequencies(c);
  EXPECT_NEAR(v3[10].item<double>(), .056234133, 1e-8);
  EXPECT_NEAR(v3[11].item<double>(), .039006927, 1e-8);
  EXPECT_NEAR(v3[16].item<double>(), .0055, 1e-9);
  EXPECT_NEAR(v3[23].item<double>(), 3.3338036e-5, 1e-11);
  c.qk_nope_head_dim = 128;
  EXPECT_NEAR(c.attention_scale(), 0.1352338, 1e-7);
}

TEST(RopeTest, AdjacentPairsTurnTogetherAndKeepTheirPlaces) {
  const at::Tensor q = at::tensor({1.0F, 2.0F, 3.0F, 4.0F}).view({1, 1, 4});
  const at::Tensor angle = at::tensor({3.0F, 0.03F}).view({1, 2});
  const at::Tensor turned =
      kernels::Rotate(q, angle.cos(), angle.sin(), /*interleave=*/true).view({4});
  const double want[] = {-1.2722325, -1.838865, 2.8786681, 4.0881866};
  for (int i = 0; i < 4; ++i)
    EXPECT_NEAR(turned[i].item<double>(), want[i], 1e-6);
  const at::Tensor k = at::tensor({.5F, -1.0F, 2.0F, .25F}).view({1, 1, 4});
  const at::Tensor one = at::tensor({1.0F, 0.01F}).view({1, 2});
  EXPECT_NEAR(
      at::dot(turned, kernels::Rotate(k, one.cos(), one.sin(), true).view({4})).item<double>(),
      5.6592351, 1e-5);
  EXPECT_NEAR(at::dot(kernels::Rotate(q, angle.cos(), angle.sin(), false).view({4}),
                      kernels::Rotate(k, one.cos(), one.sin(), false).view({4}))
                  .item<double>(),
              -3.1601117, 1e-5);
}

TEST(MtpTest, PredictsFromEveryPositionButTheLast) {
  PolicyConfig config = TinyConfig();
  config.num_nextn_predict_layers = 1;
  Policy policy = TinyPolicy(config);
  policy.RequireGrad(true);
  const RaggedBatch batch = PackSequences({kIds, {7}, {7, 2}});
  const at::Tensor hidden = policy.Forward(batch);
  const auto out = policy.ForwardMtp(batch, hidden.detach(), /*detach_embedding=*/true);
  EXPECT_TRUE(out.place_M.equal(at::tensor({0, 1, 2, 3, 6}, at::kLong)));
  EXPECT_EQ(out.hidden_MH.size(0), 5);
  out.hidden_MH.sum().backward();
  for (const NamedTensor& p : policy.parameters()) {
    const bool module = p.name.starts_with("model.layers.2.");
    const bool touched = p.value.grad().defined() && p.value.grad().abs().sum().item<double>() > 0;
    if (p.name.find("experts.") == std::string::npos) {
      EXPECT_EQ(touched, module) << p.name;
    }
  }
}

}  // namespace
}  // namespace aha::policy::reference
