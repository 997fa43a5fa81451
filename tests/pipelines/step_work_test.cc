#include "pipelines/model/step_work.h"

#include <gtest/gtest.h>

#include "tests/pipelines/small_policy.h"

namespace aha::pipelines {
namespace {

using policy::cpu::Work;

policy::PolicyConfig Latent() {
  policy::PolicyConfig c;
  c.vocab_size = 1000;
  c.hidden_size = 64;
  c.intermediate_size = 128;
  c.moe_intermediate_size = 32;
  c.num_hidden_layers = 3;
  c.num_attention_heads = 2;
  c.num_key_value_heads = 2;
  c.q_lora_rank = 24;
  c.kv_lora_rank = 16;
  c.qk_nope_head_dim = 16;
  c.qk_rope_head_dim = 8;
  c.v_head_dim = 16;
  c.n_routed_experts = 8;
  c.n_shared_experts = 1;
  c.num_experts_per_tok = 2;
  c.first_k_dense_replace = 1;
  return c;
}

// Without context a token meets the parameters that it is counted to meet: all but the norms, and
// but for the embedding's row, which is no product.
TEST(StepWorkTest, ATokensArithmeticIsThatOfItsParameters) {
  for (const policy::PolicyConfig& c : {Latent(), Grouped()}) {
    const StepLoad load = Sum(LoadsOf(c, {.rows = 1, .context = 0}));
    const double embedding =
        c.tie_word_embeddings ? 0 : static_cast<double>(c.vocab_size * c.hidden_size);
    const double met = static_cast<double>(policy::CountParameters(c).active) - embedding;
    EXPECT_LE(load.flops, 2 * met);
    EXPECT_GE(load.flops, 2 * met * 0.98);
  }
}

TEST(StepWorkTest, RowsShareWeightsAndPromptsButNoArithmetic) {
  const policy::PolicyConfig c = Grouped();
  const StepLoads one = LoadsOf(c, {.rows = 1, .context = 100});
  const StepLoads many = LoadsOf(c, {.rows = 16, .context = 100});
  const StepLoads shared = LoadsOf(c, {.rows = 16, .context = 100, .shared = 80, .samples = 16});
  EXPECT_DOUBLE_EQ(Sum(many).flops, 16 * Sum(one).flops);
  EXPECT_DOUBLE_EQ(Sum(shared).flops, Sum(many).flops);
  const auto attention = static_cast<std::size_t>(Work::kAttention);
  const auto network = static_cast<std::size_t>(Work::kNetwork);
  EXPECT_DOUBLE_EQ(many[network].bytes, one[network].bytes);
  EXPECT_DOUBLE_EQ(many[attention].bytes, 16 * one[attention].bytes);
  EXPECT_DOUBLE_EQ(shared[attention].bytes, (80 + 16 * 20) * one[attention].bytes / 100);
}

TEST(StepWorkTest, ManyRowsMeetEveryExpertOnce) {
  const policy::PolicyConfig c = Latent();
  const auto experts = static_cast<std::size_t>(Work::kExperts);
  const double expert = 3.0 * 64 * 32 * 2, layers = 2;
  EXPECT_DOUBLE_EQ(LoadsOf(c, {.rows = 1})[experts].bytes, layers * expert * 2);
  EXPECT_NEAR(LoadsOf(c, {.rows = 500})[experts].bytes, layers * expert * 8, 1);
}

}  // namespace
}  // namespace aha::pipelines
