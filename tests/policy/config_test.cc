#include "policy/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/policy/tiny_weights.h"

namespace aha::policy {
namespace {

using Json = nlohmann::ordered_json;
using testing::HasSubstr;

Json TinyJson() {
  return Json::parse(ConfigJson(TinyConfig()));
}

Result<PolicyConfig> Parse(const Json& json) {
  return ParseConfig(json.dump(), "here/config.json");
}

TEST(ConfigTest, ComesBackAsItWasWritten) {
  PolicyConfig config = TinyConfig();
  config.num_nextn_predict_layers = 1;
  config.tie_word_embeddings = true;
  config.rope_interleave = false;
  config.norm_topk_prob = false;
  config.rope_theta = 12345.5;
  config.rms_norm_eps = 1e-5;
  config.initializer_range = .006;
  config.bos_token_id = 0;
  config.eos_token_id = 15;
  config.dtype = NumberType::kBf16;
  for (const bool yarn : {true, false}) {
    if (!yarn) config.yarn.reset();
    const std::string text = ConfigJson(config);
    const auto parsed = ParseConfig(text, "config.json");
    ASSERT_TRUE(parsed) << parsed.error().message;
    EXPECT_EQ(ConfigJson(*parsed), text);
    EXPECT_EQ(parsed->hidden_size, 16);
    EXPECT_EQ(parsed->q_lora_rank, 12);
    EXPECT_EQ(parsed->routed_scaling_factor, 2.5);
    EXPECT_EQ(parsed->rope_theta, 12345.5);
    EXPECT_EQ(parsed->eos_token_id, 15);
    EXPECT_EQ(parsed->dtype, NumberType::kBf16);
    EXPECT_EQ(parsed->yarn.has_value(), yarn);
    if (yarn) {
      EXPECT_EQ(parsed->yarn->original_max_position_embeddings, 64);
      EXPECT_EQ(parsed->yarn->mscale_all_dim, 1);
    }
  }
}

TEST(ConfigTest, NoQueryCompressionIsNull) {
  PolicyConfig config = TinyConfig();
  config.q_lora_rank = 0;
  EXPECT_TRUE(Json::parse(ConfigJson(config))["q_lora_rank"].is_null());
  EXPECT_EQ(ParseConfig(ConfigJson(config), "c")->q_lora_rank, 0);
}

TEST(ConfigTest, ThetaAndYarnMayStandInEitherPlace) {
  const YarnScaling want = *TinyConfig().yarn;
  for (const char* other : {"rope_scaling", "rope_parameters"}) {
    Json json = TinyJson();
    json.erase(other);
    const auto parsed = Parse(json);
    ASSERT_TRUE(parsed) << parsed.error().message;
    ASSERT_TRUE(parsed->yarn) << other;
    EXPECT_EQ(parsed->yarn->factor, want.factor);
  }
  Json json = TinyJson();
  json.erase("rope_theta");
  json["rope_parameters"]["rope_theta"] = 777;
  EXPECT_EQ(Parse(json)->rope_theta, 777);
}

// DeepSeek-V3 (arXiv:2412.19437): 671 B parameters of which 37 B are active.
TEST(ConfigTest, CountsTheParametersOfTheReleasedModel) {
  PolicyConfig c;
  c.vocab_size = 129280;
  c.hidden_size = 7168;
  c.intermediate_size = 18432;
  c.moe_intermediate_size = 2048;
  c.num_hidden_layers = 61;
  c.num_attention_heads = 128;
  c.q_lora_rank = 1536;
  c.kv_lora_rank = 512;
  c.qk_nope_head_dim = 128;
  c.qk_rope_head_dim = 64;
  c.v_head_dim = 128;
  c.n_routed_experts = 256;
  c.n_shared_experts = 1;
  c.num_experts_per_tok = 8;
  c.first_k_dense_replace = 3;
  EXPECT_EQ(CountParameters(c).total, 671026419200);
  EXPECT_NEAR(static_cast<double>(CountParameters(c).active), 37.55e9, .01e9);
  EXPECT_EQ(c.kv_width(), 576);
}

TEST(ConfigTest, CountsTheParametersThatThePolicyHas) {
  PolicyConfig config = TinyConfig();
  config.num_nextn_predict_layers = 1;
  for (const std::int64_t rank : {0, 12}) {
    config.q_lora_rank = rank;
    std::int64_t all = 0;
    const Weights weights(config);
    for (const Weights::Tensor& tensor : weights.tensors())
      all += static_cast<std::int64_t>(tensor.numbers());
    const ParameterCount count = CountParameters(config);
    EXPECT_EQ(count.total + count.mtp, all) << rank;
    EXPECT_LT(count.active, count.total);
  }
}

struct RefusedKey {
  const char* name;
  const char* key;
  Json value;  // discarded: the key is removed
  const char* message;
};
void PrintTo(const RefusedKey& r, std::ostream* os) {
  *os << r.key << ": " << r.value.dump();
}
const Json kAbsent = Json(Json::value_t::discarded);

const RefusedKey kRefused[] = {
    {"NoArchitecture", "architectures", kAbsent, "is missing"},
    {"OtherArchitecture", "architectures", {"GPT2LMHeadModel"}, "GPT2LMHeadModel"},
    {"TwoArchitectures",
     "architectures",
     {"LlamaForCausalLM", "Qwen2ForCausalLM"},
     "one of them alone"},
    {"NoVocab", "vocab_size", kAbsent, "is missing"},
    {"VocabZero", "vocab_size", 0, "must lie in [1, "},
    {"VocabHuge", "vocab_size", 1ULL << 63U, "must lie in"},
    {"HiddenText", "hidden_size", "16", "whole number"},
    {"HiddenFraction", "hidden_size", 16.5, "whole number"},
    {"HiddenNegative", "hidden_size", -16, "is -16"},
    {"NoIntermediate", "intermediate_size", kAbsent, "is missing"},
    {"NoMoeIntermediate", "moe_intermediate_size", kAbsent, "is missing"},
    {"NoLayers", "num_hidden_layers", 0, "is 0"},
    {"NoHeads", "num_attention_heads", nullptr, "is missing"},
    {"GroupedHeads", "num_key_value_heads", 1, "is 1, must lie in [2, 2]"},
    {"NoLatent", "kv_lora_rank", 0, "is 0"},
    {"OddRope", "qk_rope_head_dim", 5, "must be even"},
    {"NoNope", "qk_nope_head_dim", kAbsent, "is missing"},
    {"NoValue", "v_head_dim", kAbsent, "is missing"},
    {"EpsilonText", "rms_norm_eps", "1e-6", "must be a number"},
    {"EpsilonNegative", "rms_norm_eps", -1e-6, "must lie in"},
    {"BiasText", "attention_bias", "yes", "true or false"},
    {"Dropout", "attention_dropout", 0.1, "only 0.0 is supported"},
    {"PartOfTheHead", "partial_rotary_factor", 0.5, "only 1.0 is supported"},
    {"Activation", "hidden_act", "gelu", "only \"silu\" is supported"},
    {"Quantized", "quantization_config", {{"quant_method", "awq"}}, "\"awq\""},
    {"QuantizedInOtherBlocks",
     "quantization_config",
     {{"quant_method", "fp8"}, {"fmt", "e4m3"}, {"weight_block_size", {64, 64}}},
     "weight_block_size"},
    {"TieText", "tie_word_embeddings", "no", "true or false"},
    {"NoExperts", "n_routed_experts", kAbsent, "is missing"},
    {"ExpertsInUnequalGroups", "n_routed_experts", 10, "multiple of n_group"},
    {"GroupsOfOne", "n_group", 8, "fewer than two experts"},
    {"MoreGroupsThanThereAre", "topk_group", 5, "is 5"},
    {"MoreThanKeptGroupsHold", "num_experts_per_tok", 5, "kept groups"},
    {"MoreThanExperts", "num_experts_per_tok", 9, "is 9"},
    {"Softmax", "scoring_func", "softmax", "only \"sigmoid\" is supported"},
    {"Greedy", "topk_method", "greedy", "only \"noaux_tc\" is supported"},
    {"NoLayerFrequency", "moe_layer_freq", 0, "is 0"},
    {"TwoMtpModules", "num_nextn_predict_layers", 2, "is 2"},
    {"Theta", "rope_theta", 0, "is 0"},
    {"ScalingText", "rope_scaling", "yarn", "must be an object"},
    {"Llama3Scaling", "rope_parameters", {{"rope_type", "llama3"}}, "llama3"},
    {"StopOutside", "eos_token_id", 16, "is 16"},
    {"OneStopOutside", "eos_token_id", {3, 16}, "holds 16"},
    {"Eighth", "torch_dtype", "float8", "only bfloat16, float16 and float32"},
};

class RefusedKeyTest : public testing::TestWithParam<RefusedKey> {};

TEST_P(RefusedKeyTest, IsNamed) {
  const RefusedKey& r = GetParam();
  Json json = TinyJson();
  if (r.value.is_discarded()) {
    json.erase(r.key);
  } else {
    json[r.key] = r.value;
  }
  const auto parsed = Parse(json);
  ASSERT_FALSE(parsed);
  EXPECT_EQ(parsed.error().code, Code::kInvalidArgument);
  EXPECT_THAT(parsed.error().message, HasSubstr("here/config.json"));
  EXPECT_THAT(parsed.error().message, HasSubstr(r.key));
  EXPECT_THAT(parsed.error().message, HasSubstr(r.message));
}
INSTANTIATE_TEST_SUITE_P(Table, RefusedKeyTest, testing::ValuesIn(kRefused), [](const auto& p) {
  return std::string(p.param.name);
});

// Keys that ask a family for mathematics which is not here.
struct FamilyCase {
  const char* name;
  Family family;
  const char* key;
  Json value;
  const char* message;
};
void PrintTo(const FamilyCase& c, std::ostream* os) {
  *os << c.key << ": " << c.value.dump();
}

Json FamilyJson(Family family) {
  PolicyConfig c = TinyConfig();
  c.family = family;
  c.yarn.reset();
  c.head_dim = 8;
  c.num_key_value_heads = 1;
  c.shared_expert_intermediate_size = 12;
  c.norm_topk_prob = family == Family::kDeepseekV3;
  return Json::parse(ConfigJson(c));
}

const FamilyCase kFamilyCases[] = {
    {"LlamaDynamic",
     Family::kLlama,
     "rope_scaling",
     {{"type", "dynamic"}, {"factor", 2.0}},
     "is \"dynamic\""},
    {"LlamaLongrope", Family::kLlama, "rope_parameters", {{"rope_type", "longrope"}}, "longrope"},
    {"LlamaGelu", Family::kLlama, "hidden_act", "gelu", "only \"silu\""},
    {"LlamaHeads", Family::kLlama, "num_key_value_heads", 3, "is 3"},
    {"LlamaOddHead", Family::kLlama, "head_dim", 7, "must be even"},
    {"Llama3WithoutFactor",
     Family::kLlama,
     "rope_scaling",
     {{"rope_type", "llama3"}, {"low_freq_factor", 1}},
     "is missing"},
    {"LlamaWindow", Family::kLlama, "sliding_window", 16, "only null is supported"},
    {"LlamaWindowInUse", Family::kLlama, "use_sliding_window", true, "only false is supported"},
    {"LlamaLayerTypes", Family::kLlama, "layer_types", {"sliding_attention"}, "sliding_attention"},
    {"LlamaLayerTypesText", Family::kLlama, "layer_types", "full_attention", "must be a list"},
    {"LlamaSoftcap", Family::kLlama, "attn_logit_softcapping", 50.0, "is 50.0, which changes"},
    {"Qwen2Softcap", Family::kQwen2, "final_logit_softcapping", 30, "is 30, which changes"},
    {"V3Scale", Family::kDeepseekV3, "embedding_multiplier", 12, "is 12, which changes"},
    {"MixtralScale", Family::kMixtral, "residual_multiplier", 0.22, "is 0.22, which changes"},
    {"Qwen3NoRope", Family::kQwen3, "no_rope_layers", {1, 0}, "is [1,0], which changes"},
    {"LlamaAlibi", Family::kLlama, "alibi", true, "is true, which changes"},
    {"Qwen2Window", Family::kQwen2, "use_sliding_window", true, "only false is supported"},
    {"Qwen2LayerTypes",
     Family::kQwen2,
     "layer_types",
     {"full_attention", "sliding_attention"},
     "sliding_attention"},
    {"Qwen3Window", Family::kQwen3, "use_sliding_window", true, "only false is supported"},
    {"Qwen3MoeWindow", Family::kQwen3Moe, "use_sliding_window", true, "only false is supported"},
    {"Qwen3MoeStep", Family::kQwen3Moe, "decoder_sparse_step", 0, "is 0"},
    {"Qwen3MoeLayers", Family::kQwen3Moe, "mlp_only_layers", {-1}, "holds -1"},
    {"Qwen2MoeShared", Family::kQwen2Moe, "shared_expert_intermediate_size", nullptr, "is missing"},
    {"MixtralWindow", Family::kMixtral, "sliding_window", 16, "only null is supported"},
    {"MixtralJitter", Family::kMixtral, "router_jitter_noise", 0.1, "only 0.0 is supported"},
    {"MixtralExperts", Family::kMixtral, "num_local_experts", nullptr, "is missing"},
    {"V2Normalised", Family::kDeepseekV2, "norm_topk_prob", true, "only false is supported"},
    {"V2Method", Family::kDeepseekV2, "topk_method", "noaux_tc",
     "only greedy and group_limited_greedy"},
    {"V2Sigmoid", Family::kDeepseekV2, "scoring_func", "sigmoid", "only \"softmax\""},
};

class FamilyTest : public testing::TestWithParam<FamilyCase> {};

TEST_P(FamilyTest, RefusesByName) {
  const FamilyCase& c = GetParam();
  Json json = FamilyJson(c.family);
  json.erase("rope_scaling");
  json.erase("rope_parameters");
  ASSERT_TRUE(Parse(json)) << Parse(json).error().message;
  json[c.key] = c.value;
  const auto parsed = Parse(json);
  ASSERT_FALSE(parsed);
  EXPECT_EQ(parsed.error().code, Code::kInvalidArgument);
  EXPECT_THAT(parsed.error().message, HasSubstr(c.key));
  EXPECT_THAT(parsed.error().message, HasSubstr(c.message));
}
INSTANTIATE_TEST_SUITE_P(Table, FamilyTest, testing::ValuesIn(kFamilyCases), [](const auto& p) {
  return std::string(p.param.name);
});

TEST(ConfigTest, HarmlessKeysPass) {
  Json json = FamilyJson(Family::kLlama);
  for (const char* key :
       {"transformers_version", "pretraining_tp", "pad_token_id", "_name_or_path", "use_cache"})
    json[key] = 1;
  json["attn_logit_softcapping"] = nullptr;
  json["alibi"] = false;
  json["residual_multiplier"] = 1.0;
  json["layer_types"] = {"full_attention", "full_attention"};
  json["sliding_window"] = json["max_position_embeddings"];
  EXPECT_TRUE(Parse(json)) << Parse(json).error().message;
  json["sliding_window"] = 1;
  json["use_sliding_window"] = false;
  EXPECT_TRUE(Parse(json)) << Parse(json).error().message;
}

TEST(ConfigTest, SeveralStopsAreKept) {
  Json json = FamilyJson(Family::kLlama);
  json["eos_token_id"] = {3, 5, 7};
  const auto parsed = Parse(json);
  ASSERT_TRUE(parsed) << parsed.error().message;
  EXPECT_EQ(parsed->eos_token_id, 3);
  EXPECT_EQ(parsed->more_eos_token_ids, (std::vector<std::int64_t>{5, 7}));
  EXPECT_EQ(Json::parse(ConfigJson(*parsed))["eos_token_id"], Json({3, 5, 7}));
}

// DeepSeek's own rule: from the first sparse layer on, those whose number is a multiple.
TEST(ConfigTest, LayersAreDenseByEveryFamiliesRule) {
  const auto dense = [](const PolicyConfig& c) {
    std::string layers;
    for (int l = 0; l < 6; ++l)
      layers += c.dense_layer(l) ? 'd' : 'e';
    return layers;
  };
  PolicyConfig c = TinyConfig();
  c.first_k_dense_replace = 1;
  EXPECT_EQ(dense(c), "deeeee");
  c.moe_layer_freq = 2;
  EXPECT_EQ(dense(c), "ddeded");
  c.first_k_dense_replace = 0;
  c.moe_layer_freq = 1;
  c.decoder_sparse_step = 2;
  EXPECT_EQ(dense(c), "dedede");
  c.mlp_only_layers = {1};
  EXPECT_EQ(dense(c), "dddede");
}

TEST(ConfigTest, GroupedAttentionCachesKeysAndValues) {
  PolicyConfig c;  // Llama-3.1-8B
  c.attention = AttentionKind::kGrouped;
  c.num_key_value_heads = 8;
  c.head_dim = 128;
  EXPECT_EQ(c.kv_width() * c.bytes_per_number() * 32, 131072);
}

TEST(ConfigTest, AFactorInsideTheScalingIsNamedWithIt) {
  Json json = TinyJson();
  json["rope_scaling"].erase("factor");
  const auto parsed = Parse(json);
  ASSERT_FALSE(parsed);
  EXPECT_THAT(parsed.error().message, HasSubstr("in \"rope_scaling\": key \"factor\" is missing"));
}

TEST(ConfigTest, WhatIsNoObjectIsCorrupt) {
  for (const char* text : {"", "{\"a\": ", "[]", "3", "{} {}"}) {
    const auto parsed = ParseConfig(text, "here/config.json");
    ASSERT_FALSE(parsed) << text;
    EXPECT_EQ(parsed.error().code, Code::kCorrupt) << text;
    EXPECT_THAT(parsed.error().message, HasSubstr("here/config.json"));
  }
}

TEST(ConfigTest, NamesTheFolderThatIsNotThere) {
  const auto config = ReadConfig("/nowhere/model");
  ASSERT_FALSE(config);
  EXPECT_EQ(config.error().code, Code::kNotFound);
  EXPECT_THAT(config.error().message, HasSubstr("/nowhere/model"));
}

}  // namespace
}  // namespace aha::policy
