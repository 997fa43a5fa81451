#include "policy/checkpoint/upcycle.h"

#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/content_hash.h"
#include "base/whole_file.h"
#include "policy/checkpoint/checkpoint.h"
#include "policy/model/head.h"
#include "tests/policy/tiny_weights.h"

namespace aha::policy {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

std::string DenseConfig(std::string_view architecture, std::string_view extra = "") {
  return fmt::format(
      R"({{"architectures": ["{}"], "vocab_size": 32, "hidden_size": 16, "intermediate_size": 24,
    "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 64,
    "initializer_range": 0.2, "rms_norm_eps": 1e-6, "rope_theta": 10000.0, "torch_dtype": "float32"{}}})",
      architecture, extra);
}

class UpcycleTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(testing::TempDir()) /
              fmt::format("aha_upcycle_{}",
                          testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::remove_all(folder_);
    fs::create_directories(dense());
  }
  void TearDown() override { fs::remove_all(folder_); }
  [[nodiscard]] fs::path dense() const { return folder_ / "dense"; }
  [[nodiscard]] fs::path sparse() const { return folder_ / "sparse"; }

  void SaveDense(const std::string& architecture, const std::string& extra = "") const {
    const auto config = ParseConfig(DenseConfig(architecture, extra), "config.json");
    ASSERT_TRUE(config) << config.error().message;
    ASSERT_TRUE(SaveWeights(Weights::Initial(*config, KeyedRandom(3, "upcycle test")), dense(),
                            {.max_shard_bytes = 3000}));
    ASSERT_TRUE(WriteWholeFile(dense() / "config.json", DenseConfig(architecture, extra)));
  }
  static std::vector<float> Logits(const fs::path& folder) {
    const auto weights = LoadWeights(folder);
    EXPECT_TRUE(weights) << weights.error().message;
    const cpu::Cpu cpu(cpu::KernelTarget::kPortable, 1);
    const std::vector<std::int32_t> ids = {1, 5, 9, 3, 14, 31}, rows = {0, 1, 2, 3, 4, 5};
    const std::vector<SequenceTokens> sequence = {{ids, 0, {}}};
    Pass pass(*weights, cpu);
    std::vector<float> logits(ids.size() * 32);
    Head(*weights, cpu)
        .Logits(pass.Forward({sequence, nullptr}), rows,
                cpu::Rows<float>(logits.data(), ids.size(), 32));
    return logits;
  }
  static double Largest(const std::vector<float>& a, const std::vector<float>& b) {
    double most = 0;
    for (std::size_t i = 0; i < a.size(); ++i)
      most = std::max(most, std::abs(double{a[i]} - b[i]));
    return most;
  }
  fs::path folder_;
};

TEST_F(UpcycleTest, LogitsStayTheSameToRounding) {
  for (const auto& [from, to] :
       {std::pair{"LlamaForCausalLM", Family::kMixtral}, {"Qwen2ForCausalLM", Family::kQwen2Moe}}) {
    for (const char* extra : {"", R"(, "tie_word_embeddings": true)"}) {
      SaveDense(from, extra);
      const Status made = Upcycle(dense(), sparse(), {.experts = 4, .active = 2});
      ASSERT_TRUE(made) << made.error().message;
      EXPECT_EQ(ReadConfig(sparse())->family, to);
      const std::vector<float> before = Logits(dense());
      EXPECT_LT(Largest(Logits(sparse()), before), 1e-5) << from << extra;
      EXPECT_GT(Largest(before, std::vector<float>(before.size())), 0.1);
      fs::remove_all(dense());
      fs::create_directories(dense());
    }
  }
}

TEST_F(UpcycleTest, ExpertsAreTheDenseNetworkBitForBit) {
  SaveDense("LlamaForCausalLM");
  ASSERT_TRUE(Upcycle(dense(), sparse(), {.experts = 3, .active = 1}));
  const auto from = CheckpointFiles::Open(dense()).value();
  const auto to = CheckpointFiles::Open(sparse()).value();
  for (const auto& [dense_name, name] :
       {std::pair{"gate_proj", "w1"}, {"down_proj", "w2"}, {"up_proj", "w3"}}) {
    const auto want =
        from.Find(fmt::format("model.layers.1.mlp.{}.weight", dense_name))->view->data;
    for (int e = 0; e < 3; ++e) {
      const StoredTensor* expert =
          to.Find(fmt::format("model.layers.1.block_sparse_moe.experts.{}.{}.weight", e, name));
      ASSERT_NE(expert, nullptr);
      EXPECT_TRUE(std::equal(want.begin(), want.end(), expert->view->data.begin(),
                             expert->view->data.end()));
    }
  }
  EXPECT_EQ(to.Find("model.layers.1.mlp.up_proj.weight"), nullptr);
}

TEST_F(UpcycleTest, RoutersAndNoiseFollowTheSeed) {
  SaveDense("Qwen2ForCausalLM");
  const auto hash = [&](std::uint64_t seed, double noise) {
    EXPECT_TRUE(
        Upcycle(dense(), sparse(), {.experts = 2, .active = 1, .noise = noise, .seed = seed}));
    return WeightsHash(sparse()).value();
  };
  const std::string one = hash(1, 0.1);
  EXPECT_EQ(hash(1, 0.1), one);
  EXPECT_NE(hash(2, 0.1), one);
  EXPECT_NE(hash(1, 0), one);
}

TEST_F(UpcycleTest, NoiseHasTheSizeAskedFor) {
  SaveDense("LlamaForCausalLM");
  ASSERT_TRUE(Upcycle(dense(), sparse(), {.experts = 2, .active = 1, .noise = 0.5}));
  const Weights weights = LoadWeights(sparse()).value();
  const std::vector<float> dense_up =
      NumbersOf(LoadWeights(dense()).value(), "model.layers.0.mlp.up_proj.weight");
  for (int e = 0; e < 2; ++e) {
    const std::vector<float> up =
        NumbersOf(weights, fmt::format("model.layers.0.block_sparse_moe.experts.{}.w3.weight", e));
    double noise = 0, size = 0;
    for (std::size_t i = 0; i < up.size(); ++i) {
      noise += std::pow(double{up[i]} - dense_up[i], 2);
      size += std::pow(double{dense_up[i]}, 2);
    }
    EXPECT_NEAR(std::sqrt(noise / size), 0.5, 0.1);  // 384 draws
  }
}

TEST_F(UpcycleTest, WhatHasNoCounterpartIsRefused) {
  const std::tuple<const char*, const char*, UpcycleOptions, const char*> cases[] = {
      {"Qwen3ForCausalLM", "", {.experts = 2, .active = 1}, "architectures"},
      {"LlamaForCausalLM",
       R"(, "attention_bias": true)",
       {.experts = 2, .active = 1},
       "attention_bias"},
      {"LlamaForCausalLM", R"(, "mlp_bias": true)", {.experts = 2, .active = 1}, "mlp_bias"},
      {"LlamaForCausalLM",
       R"(, "num_hidden_layers": 3)",
       {.experts = 2, .active = 1},
       "num_hidden_layers"},
      {"LlamaForCausalLM", "", {.experts = 2, .active = 3}, "3 of 2 experts"},
  };
  for (const auto& [architecture, extra, options, want] : cases) {
    SaveDense("LlamaForCausalLM");
    ASSERT_TRUE(WriteWholeFile(dense() / "config.json", DenseConfig(architecture, extra)));
    const Status made = Upcycle(dense(), sparse(), options);
    ASSERT_FALSE(made) << want;
    EXPECT_THAT(made.error().message, HasSubstr(want));
    EXPECT_FALSE(fs::exists(sparse()));
  }
}

TEST_F(UpcycleTest, AMissingMatrixIsNamed) {
  SaveDense("LlamaForCausalLM");
  std::string text = DenseConfig("LlamaForCausalLM");
  text.replace(text.find(R"("num_hidden_layers": 2)"), 22, R"("num_hidden_layers": 3)");
  ASSERT_TRUE(WriteWholeFile(dense() / "config.json", text));
  EXPECT_THAT(Upcycle(dense(), sparse(), {}).error().message,
              HasSubstr("model.layers.2.mlp.gate_proj.weight is missing"));
}

}  // namespace
}  // namespace aha::policy
