#include "policy/model/tensors.h"

#include <map>
#include <set>

#include <gtest/gtest.h>

namespace aha::policy {
namespace {

// config.json of DeepSeek-R1's release, the keys that matter.
constexpr char kR1[] =
    R"({"architectures": ["DeepseekV3ForCausalLM"], "vocab_size": 129280, "hidden_size": 7168,
  "intermediate_size": 18432, "moe_intermediate_size": 2048, "num_hidden_layers": 61, "num_attention_heads": 128,
  "num_key_value_heads": 128, "q_lora_rank": 1536, "kv_lora_rank": 512, "qk_nope_head_dim": 128, "qk_rope_head_dim": 64,
  "v_head_dim": 128, "n_routed_experts": 256, "n_shared_experts": 1, "num_experts_per_tok": 8, "n_group": 8,
  "topk_group": 4, "first_k_dense_replace": 3, "num_nextn_predict_layers": 1, "torch_dtype": "bfloat16"})";

std::map<std::string, TensorSpec> ByName(const PolicyConfig& config) {
  std::map<std::string, TensorSpec> specs;
  for (TensorSpec& spec : TensorsOf(config))
    specs[spec.name] = std::move(spec);
  return specs;
}

// The public listing has 91,991 tensors, of which 45,808 are scales: one for every FP8 matrix, that
// is 776 in each of the 59 layers with experts (the module for multi-token prediction is one) and 8
// in each of 3.
TEST(TensorsTest, AreThoseOfTheReleasedModel) {
  const auto config = ParseConfig(kR1, "R1");
  ASSERT_TRUE(config) << config.error().message;
  const auto specs = ByName(*config);
  EXPECT_EQ(TensorsOf(*config).size(), specs.size()) << "a name twice";
  EXPECT_EQ(specs.size(), 91991 - 59 * 776 - 3 * 8);
  using Shape = std::vector<std::int64_t>;
  EXPECT_EQ(specs.at("model.layers.0.self_attn.kv_a_proj_with_mqa.weight").shape,
            Shape({576, 7168}));
  EXPECT_EQ(specs.at("model.layers.60.mlp.experts.255.down_proj.weight").shape,
            Shape({7168, 2048}));
  EXPECT_EQ(specs.at("model.layers.61.eh_proj.weight").shape, Shape({7168, 14336}));
  EXPECT_EQ(specs.at("model.layers.61.embed_tokens.weight").copy_of, "model.embed_tokens.weight");
  EXPECT_EQ(specs.at("model.layers.61.shared_head.head.weight").copy_of, "lm_head.weight");
  EXPECT_FALSE(specs.at("model.layers.3.mlp.gate.e_score_correction_bias").trainable);
  EXPECT_FALSE(specs.contains("model.layers.2.mlp.gate.weight"));
}

TEST(TensorsTest, CountOfTheReleasedModelKeepsItsModuleApart) {
  const ParameterCount count = CountParameters(*ParseConfig(kR1, "R1"));
  EXPECT_EQ(count.total, 671026419200);
  EXPECT_NEAR(static_cast<double>(count.active), 37.55e9, .01e9);
  EXPECT_NEAR(static_cast<double>(count.mtp), 11.5e9,
              .2e9);  // README_WEIGHTS.md: 11.5 B unique ones
}

// Parameters as the models' cards state them.
struct PublicModel {
  const char* name;
  const char* config;
  double total, active;  // billions
};

const PublicModel kPublic[] = {
    {"Llama8B",
     R"({"architectures": ["LlamaForCausalLM"], "vocab_size": 128256, "hidden_size": 4096, "intermediate_size": 14336,
        "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8})",
     8.03, 8.03},
    {"Qwen2Tied",
     R"({"architectures": ["Qwen2ForCausalLM"], "vocab_size": 151936, "hidden_size": 896, "intermediate_size": 4864,
        "num_hidden_layers": 24, "num_attention_heads": 14, "num_key_value_heads": 2, "tie_word_embeddings": true})",
     .494, .494},
    {"Mixtral",
     R"({"architectures": ["MixtralForCausalLM"], "vocab_size": 32000, "hidden_size": 4096, "intermediate_size": 14336,
        "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8, "num_local_experts": 8,
        "num_experts_per_tok": 2})",
     46.7, 12.9},
    {"Qwen3Moe",
     R"({"architectures": ["Qwen3MoeForCausalLM"], "vocab_size": 151936, "hidden_size": 2048, "intermediate_size": 6144,
        "num_hidden_layers": 48, "num_attention_heads": 32, "num_key_value_heads": 4, "head_dim": 128, "num_experts": 128,
        "num_experts_per_tok": 8, "moe_intermediate_size": 768})",
     30.5, 3.3},
    {"Qwen2Moe",
     R"({"architectures": ["Qwen2MoeForCausalLM"], "vocab_size": 151936, "hidden_size": 2048, "intermediate_size": 5632,
        "num_hidden_layers": 24, "num_attention_heads": 16, "num_key_value_heads": 16, "num_experts": 60,
        "num_experts_per_tok": 4, "moe_intermediate_size": 1408, "shared_expert_intermediate_size": 5632})",
     14.3, 2.7},
    {"DeepseekV2Lite",
     R"({"architectures": ["DeepseekV2ForCausalLM"], "vocab_size": 102400, "hidden_size": 2048, "intermediate_size": 10944,
        "num_hidden_layers": 27, "num_attention_heads": 16, "kv_lora_rank": 512, "qk_nope_head_dim": 128,
        "qk_rope_head_dim": 64, "v_head_dim": 128, "n_routed_experts": 64, "n_shared_experts": 2, "num_experts_per_tok": 6,
        "moe_intermediate_size": 1408, "first_k_dense_replace": 1})",
     15.7, 2.66},
};

class PublicModelTest : public testing::TestWithParam<PublicModel> {};

TEST_P(PublicModelTest, HasAsManyParametersAsItsCardSays) {
  const auto config = ParseConfig(GetParam().config, GetParam().name);
  ASSERT_TRUE(config) << config.error().message;
  const ParameterCount count = CountParameters(*config);
  EXPECT_NEAR(static_cast<double>(count.total) / 1e9, GetParam().total, GetParam().total * .01);
  EXPECT_NEAR(static_cast<double>(count.active) / 1e9, GetParam().active, GetParam().active * .03);
}
INSTANTIATE_TEST_SUITE_P(Table, PublicModelTest, testing::ValuesIn(kPublic), [](const auto& p) {
  return std::string(p.param.name);
});

}  // namespace
}  // namespace aha::policy
