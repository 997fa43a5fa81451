#include "policy/checkpoint/inspect.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/whole_file.h"
#include "policy/checkpoint/shards.h"

namespace aha::policy {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr std::string_view kLlama =
    R"({"architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": 10,
  "hidden_size": 8, "intermediate_size": 12, "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1,
  "max_position_embeddings": 64, "rms_norm_eps": 1e-6, "torch_dtype": "float32"EXTRA})";

std::string LlamaConfig(std::string_view extra = "") {
  std::string text(kLlama);
  return text.replace(text.find("EXTRA"), 5, extra);
}

TensorSource Zeros(std::string name, SafetensorsDtype dtype, std::vector<std::int64_t> shape) {
  const auto bytes = *internal::ByteCount(shape, dtype);
  return {std::move(name), dtype, std::move(shape),
          [bytes](const ByteSink& sink) { return sink(std::vector<std::byte>(bytes)); }};
}

class InspectTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(testing::TempDir()) /
              fmt::format("aha_inspect_{}",
                          testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::remove_all(folder_);
    fs::create_directories(folder_);
    Config(LlamaConfig());
  }
  void TearDown() override { fs::remove_all(folder_); }
  void Config(const std::string& text) {
    ASSERT_TRUE(WriteWholeFile(folder_ / "config.json", text));
    config_ = ParseConfig(text, "config.json");
    ASSERT_TRUE(config_) << config_.error().message;
  }
  [[nodiscard]] std::vector<TensorSource> Tensors() const {
    std::vector<TensorSource> tensors;
    for (const TensorSpec& spec : TensorsOf(*config_))
      tensors.push_back(Zeros(spec.name, SafetensorsDtype::kBF16, spec.shape));
    return tensors;
  }
  [[nodiscard]] std::vector<TensorProblem> Problems(std::vector<TensorSource> tensors) const {
    EXPECT_TRUE(WriteCheckpoint(folder_, std::move(tensors)));
    const auto seen = Inspect(folder_);
    EXPECT_TRUE(seen) << seen.error().message;
    return seen ? seen->problems : std::vector<TensorProblem>();
  }
  fs::path folder_;
  Result<PolicyConfig> config_ = PolicyConfig();
};

TEST_F(InspectTest, AWholeCheckpointHasNoProblems) {
  EXPECT_TRUE(Problems(Tensors()).empty());
  const Inspection seen = Inspect(folder_).value();
  EXPECT_EQ(seen.format, "safetensors");
  EXPECT_EQ(seen.tensors, 21);
  // Embedding and head 2 * 80, final norm 8, in each layer: norms 16, q and o 64 each, k and v 32
  // each, 3 * 96.
  EXPECT_EQ(seen.parameters.total, 160 + 8 + 2 * (16 + 64 + 64 + 32 + 32 + 288));
  EXPECT_EQ(seen.bytes, 2 * seen.parameters.total);
  EXPECT_THAT(seen.tensors_of_type,
              ElementsAre(std::pair<const std::string, std::int64_t>("BF16", 21)));
}

TEST_F(InspectTest, EachProblemNamesItsTensor) {
  std::vector<TensorSource> tensors = Tensors();
  std::erase_if(tensors, [](const auto& t) { return t.name == "model.norm.weight"; });
  for (TensorSource& tensor : tensors) {
    if (tensor.name == "lm_head.weight")
      tensor = Zeros(tensor.name, SafetensorsDtype::kBF16, {8, 10});
    if (tensor.name == "model.layers.0.mlp.up_proj.weight")
      tensor = Zeros(tensor.name, SafetensorsDtype::kI32, tensor.shape);
    if (tensor.name == "model.layers.1.mlp.up_proj.weight")
      tensor = Zeros(tensor.name, SafetensorsDtype::kF8E4M3, tensor.shape);
  }
  tensors.push_back(Zeros("model.layers.2.input_layernorm.weight", SafetensorsDtype::kBF16, {8}));
  const auto problems = Problems(std::move(tensors));
  std::vector<std::pair<Mismatch, std::string>> got;
  for (const TensorProblem& problem : problems) {
    got.emplace_back(problem.kind, problem.tensor);
    EXPECT_THAT(problem.message, HasSubstr(folder_.string()));
    EXPECT_THAT(problem.message, HasSubstr(problem.tensor));
  }
  EXPECT_THAT(got, testing::UnorderedElementsAre(
                       std::pair(Mismatch::kMissing, "model.norm.weight"),
                       std::pair(Mismatch::kShape, "lm_head.weight"),
                       std::pair(Mismatch::kType, "model.layers.0.mlp.up_proj.weight"),
                       std::pair(Mismatch::kMissing, "model.layers.1.mlp.up_proj.weight_scale_inv"),
                       std::pair(Mismatch::kUnexpected, "model.layers.2.input_layernorm.weight")));
}

TEST_F(InspectTest, ScalesOfFp8AreCheckedToo) {
  const std::string name = "model.layers.0.mlp.up_proj.weight";
  for (const auto& [dtype, shape, want] :
       {std::tuple{SafetensorsDtype::kF32, std::vector<std::int64_t>{1, 1}, ""},
        std::tuple{SafetensorsDtype::kF32, std::vector<std::int64_t>{2, 1},
                   "has shape [2, 1]; one scale"},
        std::tuple{SafetensorsDtype::kBF16, std::vector<std::int64_t>{1, 1}, "number type BF16"}}) {
    std::vector<TensorSource> tensors = Tensors();
    for (TensorSource& tensor : tensors) {
      if (tensor.name == name) tensor = Zeros(name, SafetensorsDtype::kF8E4M3, tensor.shape);
    }
    tensors.push_back(Zeros(name + "_scale_inv", dtype, shape));
    const auto problems = Problems(std::move(tensors));
    EXPECT_EQ(problems.size(), *want == '\0' ? 0U : 1U);
    for (const TensorProblem& problem : problems)
      EXPECT_THAT(problem.message, HasSubstr(want));
  }
}

TEST_F(InspectTest, WhatOtherToolsLeaveInFilesIsPassedOver) {
  Config(LlamaConfig(R"(, "tie_word_embeddings": true)"));
  std::vector<TensorSource> tensors = Tensors();
  tensors.push_back(Zeros("lm_head.weight", SafetensorsDtype::kBF16, {10, 8}));
  tensors.push_back(
      Zeros("model.layers.0.self_attn.rotary_emb.inv_freq", SafetensorsDtype::kF32, {2}));
  EXPECT_TRUE(Problems(std::move(tensors)).empty());
}

TEST_F(InspectTest, ASingleFileWithoutConfigIsCounted) {
  ASSERT_TRUE(WriteCheckpoint(folder_, Tensors()));
  fs::remove(folder_ / "config.json");
  const auto seen = Inspect(folder_ / "model.safetensors");
  ASSERT_TRUE(seen) << seen.error().message;
  EXPECT_FALSE(seen->config);
  EXPECT_EQ(seen->parameters.total, 160 + 8 + 2 * 496);
  EXPECT_FALSE(Inspect(folder_));
  EXPECT_THAT(Inspect(folder_ / "none").error().message, HasSubstr("no such"));
}

TEST_F(InspectTest, GgufIsHeldAgainstItsKeys) {
  const auto seen = Inspect(fs::path(AHA_SOURCE_DIR) / "tests/policy/golden/gguf/qwen2.gguf");
  ASSERT_TRUE(seen) << seen.error().message;
  EXPECT_EQ(seen->format, "gguf");
  EXPECT_TRUE(seen->problems.empty());
  EXPECT_EQ(seen->config->family, Family::kQwen2);
  EXPECT_TRUE(seen->config->tie_word_embeddings);
}

TEST_F(InspectTest, VerifyReadsEveryTensor) {
  ASSERT_TRUE(WriteCheckpoint(folder_, Tensors(), {.max_shard_bytes = 500}));
  const auto verified = VerifyCheckpoint(folder_, 2);
  ASSERT_TRUE(verified) << verified.error().message;
  EXPECT_EQ(verified->verified, 21);
  EXPECT_EQ(verified->unrecorded, 0);
  const fs::path file = CheckpointShards(folder_).value().front();
  std::string bytes = ReadFile(file).value();
  bytes.back() ^= 1;
  ASSERT_TRUE(WriteWholeFile(file, bytes));
  EXPECT_THAT(VerifyCheckpoint(folder_, 2).error().message, HasSubstr(file.string()));
}

// A small config.json must not make much of anything.
TEST_F(InspectTest, AbsurdConfigsAreRefused) {
  const std::pair<const char*, const char*> cases[] = {
      {R"("num_hidden_layers": 2)", R"("num_hidden_layers": 100000)"},
      {R"("hidden_size": 8)", R"("hidden_size": 1e99)"},
      {R"("hidden_size": 8)", R"("hidden_size": 99999999999999999999999)"},
      {R"("hidden_size": 8)", R"("hidden_size": [[[[[[[[]]]]]]]])"},
      {R"("vocab_size": 10)", R"("vocab_size": 10, "vocab_size": 10)"},
  };
  for (const auto& [from, to] : cases) {
    std::string text = LlamaConfig();
    text.replace(text.find(from), std::string_view(from).size(), to);
    EXPECT_FALSE(ParseConfig(text, "config.json")) << to;
  }
  std::string deep =
      R"({"architectures": )" + std::string(1000000, '[') + std::string(1000000, ']') + "}";
  EXPECT_THAT(ParseConfig(deep, "config.json").error().message, HasSubstr("nests deeper"));
  const std::string experts =
      R"({"architectures": ["MixtralForCausalLM"], "vocab_size": 10, "hidden_size": 8,
      "intermediate_size": 12, "num_hidden_layers": 4096, "num_attention_heads": 2, "num_key_value_heads": 1,
      "num_local_experts": 65536, "num_experts_per_tok": 2})";
  EXPECT_THAT(ParseConfig(experts, "config.json").error().message,
              HasSubstr("65536 in each of 4096 layers"));
}

}  // namespace
}  // namespace aha::policy
