#include "policy/checkpoint/gguf_import.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/content_hash.h"
#include "base/whole_file.h"
#include "gguf_bytes.h"
#include "policy/checkpoint/inspect.h"
#include "policy/checkpoint/numbers.h"
#include "policy/tokenizer/tokenizer.h"

namespace aha::policy {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;
using testing::HasSubstr;

const fs::path kGolden = fs::path(AHA_SOURCE_DIR) / "tests/policy/golden/gguf";

std::string HexHash(std::span<const std::byte> bytes) {
  return ContentHash().Add(bytes).Hex();
}

class ImportTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = testing::UnitTest::GetInstance()->current_test_info()->name();
    std::replace(name.begin(), name.end(), '/', '_');
    scratch_ = fs::path(testing::TempDir()) / fmt::format("aha_import_{}", name);
    fs::remove_all(scratch_);
    fs::create_directories(scratch_);
    folder_ = scratch_ / "model";
  }
  void TearDown() override { fs::remove_all(scratch_); }
  [[nodiscard]] Json JsonOf(const char* file) const {
    return Json::parse(ReadFile(folder_ / file).value());
  }
  fs::path scratch_, folder_;
};

// What transformers makes of the same file (tests/golden/make_gguf_golden.py).
class GoldenImportTest : public ImportTest, public testing::WithParamInterface<const char*> {
 protected:
  void SetUp() override {
    ImportTest::SetUp();
    golden_ = Json::parse(ReadFile(kGolden / "models.json").value())[GetParam()];
  }
  [[nodiscard]] Result<ImportReport> Import(SafetensorsDtype dtype) const {
    return ImportGguf(kGolden / fmt::format("{}.gguf", GetParam()), folder_, {.dtype = dtype});
  }
  Json golden_;
};

TEST_P(GoldenImportTest, WeightsEqualTransformersBitForBit) {
  ASSERT_TRUE(Import(SafetensorsDtype::kF32));
  const auto files = CheckpointFiles::Open(folder_);
  ASSERT_TRUE(files) << files.error().message;
  EXPECT_EQ(files->tensors().size(), golden_["sha256"].size());
  for (const auto& [name, hash] : golden_["sha256"].items()) {
    const StoredTensor* stored = files->Find(name);
    ASSERT_NE(stored, nullptr) << name;
    EXPECT_EQ(HexHash(stored->view->data), hash.get<std::string>()) << name;
  }
}

TEST_P(GoldenImportTest, Bf16IsTheFp32ValueRounded) {
  ASSERT_TRUE(Import(SafetensorsDtype::kF32));
  const auto wide = CheckpointFiles::Open(folder_).value();
  ASSERT_TRUE(Import(SafetensorsDtype::kBF16));
  const auto narrow = CheckpointFiles::Open(folder_).value();
  for (const StoredTensor& tensor : wide.tensors()) {
    std::vector<std::byte> want(tensor.view->data.size() / 2);
    ASSERT_TRUE(ConvertNumbers(SafetensorsDtype::kF32, tensor.view->data, SafetensorsDtype::kBF16,
                               want.data()));
    EXPECT_EQ(HexHash(narrow.Find(tensor.view->name)->view->data), HexHash(want))
        << tensor.view->name;
  }
  EXPECT_EQ(JsonOf("config.json")["torch_dtype"], "bfloat16");
}

TEST_P(GoldenImportTest, ConfigEqualsTransformers) {
  ASSERT_TRUE(Import(SafetensorsDtype::kF32));
  const Json config = JsonOf("config.json");
  for (const auto& [key, value] : golden_["config"].items())
    EXPECT_EQ(config[key], value) << key;
  EXPECT_EQ(config["rope_theta"], golden_["rope_theta"]);
  EXPECT_EQ(config["rms_norm_eps"].get<double>(), 1e-5);
  const auto inspection = Inspect(folder_);
  ASSERT_TRUE(inspection) << inspection.error().message;
  EXPECT_TRUE(inspection->problems.empty());
  EXPECT_EQ(JsonOf("generation_config.json")["eos_token_id"], config["eos_token_id"]);
}

TEST_P(GoldenImportTest, TokenIdsEqualTransformers) {
  ASSERT_TRUE(Import(SafetensorsDtype::kF32));
  const auto tokenizer = Tokenizer::Load(folder_ / "tokenizer.json");
  ASSERT_TRUE(tokenizer) << tokenizer.error().message;
  for (const Json& line : golden_["ids"]) {
    const auto text = line[0].get<std::string>();
    EXPECT_EQ(tokenizer->Encode(text).value(), line[1].get<std::vector<std::int32_t>>()) << text;
    EXPECT_EQ(tokenizer->Encode(text, true).value(), line[2].get<std::vector<std::int32_t>>())
        << text;
  }
  EXPECT_FALSE(tokenizer->IsSpecial(*tokenizer->IdOf("<think>")));
  EXPECT_TRUE(tokenizer->IsSpecial(*tokenizer->IdOf("<|end|>")));
  EXPECT_THAT(JsonOf("tokenizer_config.json")["chat_template"].get<std::string>(),
              HasSubstr("m['content']"));
}

TEST_P(GoldenImportTest, ShardsHoldTheSameTensors) {
  ASSERT_TRUE(Import(SafetensorsDtype::kF32));
  const auto one = CheckpointFiles::Open(folder_).value();
  ASSERT_TRUE(ImportGguf(kGolden / fmt::format("{}.gguf", GetParam()), scratch_ / "shards",
                         {.dtype = SafetensorsDtype::kF32, .save = {.max_shard_bytes = 50'000}}));
  const auto many = CheckpointFiles::Open(scratch_ / "shards");
  ASSERT_TRUE(many) << many.error().message;
  EXPECT_GT(many->file_count(), 3U);
  ASSERT_EQ(many->tensors().size(), one.tensors().size());
  for (const StoredTensor& tensor : one.tensors()) {
    EXPECT_EQ(HexHash(many->Find(tensor.view->name)->view->data), HexHash(tensor.view->data));
  }
}
INSTANTIATE_TEST_SUITE_P(Models,
                         GoldenImportTest,
                         testing::Values("llama", "qwen2"),
                         [](const auto& p) { return std::string(p.param); });

// --- Files that contradict themselves, made from the golden one by changing bytes
// ----------------------

struct SpoiltGguf {
  const char* name;
  std::string from, to;  // of the same length, replaced where it first stands
  const char* want;
};
void PrintTo(const SpoiltGguf& c, std::ostream* os) {
  *os << c.name;
}
class SpoiltGgufTest : public ImportTest, public testing::WithParamInterface<SpoiltGguf> {};

TEST_P(SpoiltGgufTest, IsRefusedByNameAndLeavesNothing) {
  std::string bytes = ReadFile(kGolden / "llama.gguf").value();
  const std::size_t at = bytes.find(GetParam().from);
  ASSERT_NE(at, std::string::npos);
  ASSERT_EQ(GetParam().from.size(), GetParam().to.size());
  bytes.replace(at, GetParam().to.size(), GetParam().to);
  const fs::path file = scratch_ / "spoilt.gguf";
  ASSERT_TRUE(WriteWholeFile(file, bytes));
  const auto imported = ImportGguf(file, folder_);
  ASSERT_FALSE(imported);
  EXPECT_THAT(imported.error().message, HasSubstr(file.string()));
  EXPECT_THAT(imported.error().message, HasSubstr(GetParam().want));
  EXPECT_EQ(std::distance(fs::directory_iterator(scratch_), {}), 1);
}
INSTANTIATE_TEST_SUITE_P(
    Table,
    SpoiltGgufTest,
    testing::Values(
        SpoiltGguf{"Architecture", Counted("llama"), Counted("bloom"),
                   "general.architecture: bloom"},
        SpoiltGguf{"Layers", U32Key("llama.block_count", 2), U32Key("llama.block_count", 3),
                   "tensor blk.2.attn_norm.weight is missing"},
        SpoiltGguf{"FewerLayers", U32Key("llama.block_count", 2), U32Key("llama.block_count", 1),
                   "tensor blk.1."},
        SpoiltGguf{"NoLayers", U32Key("llama.block_count", 2), U32Key("llama.block_count", 0),
                   "llama.block_count: is 0"},
        SpoiltGguf{"BillionLayers", U32Key("llama.block_count", 2),
                   U32Key("llama.block_count", 1000000000), "llama.block_count"},
        SpoiltGguf{"Width", U32Key("llama.feed_forward_length", 96),
                   U32Key("llama.feed_forward_length", 128),
                   "tensor blk.0.ffn_gate.weight has shape [96, 64], its keys ask for [128, 64]"},
        SpoiltGguf{"Heads", U32Key("llama.attention.head_count", 4),
                   U32Key("llama.attention.head_count", 5), "do not divide"},
        SpoiltGguf{"Epsilon", FloatKey("llama.attention.layer_norm_rms_epsilon", 1e-5F),
                   FloatKey("llama.attention.layer_norm_rms_epsilon", NAN),
                   "layer_norm_rms_epsilon"},
        SpoiltGguf{"Pre", Counted("llama-bpe"), Counted("mystery-1"),
                   "tokenizer.ggml.pre: mystery-1"},
        SpoiltGguf{"Kind", Counted("gpt2"), Counted("t5t5"), "tokenizer.ggml.model: t5t5"},
        SpoiltGguf{"Eos", U32Key("tokenizer.ggml.eos_token_id", 280),
                   U32Key("tokenizer.ggml.eos_token_id", 9999), "eos_token_id: is 9999"},
        SpoiltGguf{"TokenNotUtf8", Counted("<|end|>"), Counted("<|\xFF\xFF\xFF|>"),
                   "tokenizer.ggml.tokens: token 280 is not UTF-8"},
        SpoiltGguf{"TokenTwice", Counted("<think>"), Counted("<|end|>"), "are the same"},
        SpoiltGguf{"Merge", Counted("t h"), Counted("t_h"), "tokenizer.ggml.merges: merge 0"},
        SpoiltGguf{"MergeOfNothing", Counted("t h"), Counted("t \x01"), "merges"}),
    [](const auto& p) { return std::string(p.param.name); });

// --- Rope
// ---------------------------------------------------------------------------------------------

// A file of keys alone, and rope_freqs.weight.
std::string RopeFile(const std::vector<float>& factors,
                     const std::string& more = "",
                     std::uint64_t more_keys = 0) {
  const std::string keys =
      TextKey("general.architecture", "llama") + U32Key("llama.context_length", 131072) +
      U32Key("llama.embedding_length", 16) + U32Key("llama.block_count", 1) +
      U32Key("llama.feed_forward_length", 16) + U32Key("llama.attention.head_count", 1) +
      U32Key("llama.attention.key_length", 64) + U32Key("llama.attention.value_length", 64) +
      U32Key("llama.rope.dimension_count", 64) +
      FloatKey("llama.attention.layer_norm_rms_epsilon", 1e-6F) +
      FloatKey("llama.rope.freq_base", 500000) + more;
  std::string data;
  for (const float factor : factors)
    data += Raw(factor);
  const std::size_t embedding = factors.empty() ? 0 : 128;
  data.append(embedding - data.size(), '\0');
  data.append(64, '\0');
  const std::string entries =
      factors.empty() ? "" : TensorEntry("rope_freqs.weight", {factors.size()}, 0, 0);
  return GgufBytes(factors.empty() ? 1 : 2, 11 + more_keys,
                   keys + entries + TensorEntry("token_embd.weight", {16, 1}, 0, embedding), data);
}

// What llama.cpp's converter writes for Llama 3's rope: 1, `factor`, or between.
std::vector<float> Llama3Factors(double factor) {
  std::vector<float> factors;
  for (int j = 0; j < 32; ++j) {
    const double wavelength = 2 * std::numbers::pi * std::pow(500000.0, j / 32.0);
    const double smooth = (8192 / wavelength - 1) / 3;
    factors.push_back(static_cast<float>(wavelength < 8192 / 4.0 ? 1
                                         : wavelength > 8192
                                             ? factor
                                             : 1 / ((1 - smooth) / factor + smooth)));
  }
  return factors;
}

Result<GgufModel> ModelOf(const std::string& bytes) {
  AHA_ASSIGN(const GgufFile file,
             GgufFile::FromBytes(std::as_bytes(std::span(bytes)), nullptr, "here.gguf"));
  return ReadGgufModel(file);
}

TEST(GgufRopeTest, FactorsBecomeLlama3Scaling) {
  const auto model = ModelOf(RopeFile(Llama3Factors(32)));
  ASSERT_TRUE(model) << model.error().message;
  EXPECT_EQ(model->rope.kind, "llama3");
  EXPECT_EQ(model->rope.factor, 32);
  const auto config =
      ParseConfig(GgufConfigJson(*model, {}, SafetensorsDtype::kBF16), "config.json");
  ASSERT_TRUE(config) << config.error().message;
  ASSERT_TRUE(config->llama3);
  EXPECT_EQ(config->llama3->factor, 32);
  EXPECT_EQ(config->llama3->original_max_position_embeddings, 8192);
  EXPECT_EQ(config->rope_theta, 500000);
}

TEST(GgufRopeTest, OtherFactorsAreRefused) {
  std::vector<float> factors = Llama3Factors(8);
  factors[20] *= 1.01F;
  EXPECT_THAT(ModelOf(RopeFile(factors)).error().message, HasSubstr("rope_freqs.weight"));
}

TEST(GgufRopeTest, LinearAndYarnKeepTheirFactor) {
  for (const char* kind : {"linear", "yarn"}) {
    const auto model = ModelOf(RopeFile(
        {}, TextKey("llama.rope.scaling.type", kind) + FloatKey("llama.rope.scaling.factor", 4),
        2));
    ASSERT_TRUE(model) << model.error().message;
    EXPECT_EQ(model->rope.kind, kind);
    EXPECT_EQ(model->rope.factor, 4);
  }
  EXPECT_THAT(
      ModelOf(RopeFile({}, TextKey("llama.rope.scaling.type", "longrope"), 1)).error().message,
      HasSubstr("longrope"));
}

TEST(GgufForeignKeyTest, WhatChangesTheMathematicsIsRefused) {
  for (const char* key : {"attn_logit_softcapping", "final_logit_softcapping", "logit_scale",
                          "residual_scale", "embedding_scale", "attention.scale"}) {
    const std::string full = std::string("llama.") + key;
    EXPECT_TRUE(ModelOf(RopeFile({}, FloatKey(full, 0), 1))) << key;
    const auto model = ModelOf(RopeFile({}, FloatKey(full, 12), 1));
    ASSERT_FALSE(model) << key;
    EXPECT_THAT(model.error().message, HasSubstr(full + ": is 12, which changes"));
  }
}

}  // namespace
}  // namespace aha::policy
