#include "policy/checkpoint/checkpoint.h"

#include <unistd.h>

#include <fstream>
#include <limits>

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/content_hash.h"
#include "base/whole_file.h"
#include "tests/policy/tiny_model.h"

namespace aha::policy {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class CheckpointTest : public testing::Test {
 protected:
  CheckpointTest() : folder_(testing::TempDir() + fmt::format("/aha_checkpoint_{}", ::getpid())) {
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  ~CheckpointTest() override { fs::remove_all(folder_); }
  [[nodiscard]] fs::path file() const { return folder_ / "model.safetensors"; }
  fs::path folder_;
};

void ExpectSameBits(const Policy& a, const Policy& b) {
  ASSERT_EQ(a.parameters().size(), b.parameters().size());
  for (std::size_t i = 0; i < a.parameters().size(); ++i) {
    EXPECT_EQ(a.parameters()[i].name, b.parameters()[i].name);
    EXPECT_TRUE(a.parameters()[i].value.equal(b.parameters()[i].value)) << a.parameters()[i].name;
  }
  ASSERT_EQ(a.buffers().size(), b.buffers().size());
  for (std::size_t i = 0; i < a.buffers().size(); ++i) {
    EXPECT_TRUE(a.buffers()[i].value.equal(b.buffers()[i].value)) << a.buffers()[i].name;
  }
}

struct ShapeCase {
  const char* name;
  NumberType dtype;
  std::int64_t mtp;
  bool tied;
};
class RoundTripTest : public CheckpointTest, public testing::WithParamInterface<ShapeCase> {};

TEST_P(RoundTripTest, KeepsEveryBit) {
  PolicyConfig config = TinyConfig();
  config.dtype = GetParam().dtype;
  config.num_nextn_predict_layers = GetParam().mtp;
  config.tie_word_embeddings = GetParam().tied;
  const Policy policy = TinyPolicy(config);
  ASSERT_TRUE(SavePolicy(policy, folder_));
  const auto loaded = LoadPolicy(folder_);
  ASSERT_TRUE(loaded) << loaded.error().message;
  ExpectSameBits(*loaded, policy);
  EXPECT_EQ(loaded->config().dtype, config.dtype);

  const std::string hash = WeightsHash(folder_).value();
  EXPECT_EQ(hash, HashFile(file()).value());
  ASSERT_TRUE(SavePolicy(*loaded, folder_));
  EXPECT_EQ(WeightsHash(folder_).value(), hash);
}
INSTANTIATE_TEST_SUITE_P(Table,
                         RoundTripTest,
                         testing::Values(ShapeCase{"Fp32", NumberType::kFp32, 0, false},
                                         ShapeCase{"Bf16", NumberType::kBf16, 0, false},
                                         ShapeCase{"Mtp", NumberType::kFp32, 1, false},
                                         ShapeCase{"Tied", NumberType::kFp32, 0, true}),
                         [](const auto& p) { return std::string(p.param.name); });

TEST_F(CheckpointTest, LoadsAsAnotherNumberType) {
  const Policy policy = TinyPolicy();
  ASSERT_TRUE(SavePolicy(policy, folder_));
  const auto half = LoadPolicy(folder_, NumberType::kBf16);
  ASSERT_TRUE(half) << half.error().message;
  EXPECT_EQ(half->head().leaf().scalar_type(), at::kBFloat16);
  EXPECT_TRUE(half->head().leaf().equal(policy.head().leaf().to(at::kBFloat16)));
}

TEST_F(CheckpointTest, MtpEndsAreWrittenAsCopies) {
  PolicyConfig config = TinyConfig();
  config.num_nextn_predict_layers = 1;
  const Policy policy = TinyPolicy(config);
  ASSERT_TRUE(SavePolicy(policy, folder_));
  std::map<std::string, at::Tensor> tensors;
  const auto stored = LoadTensors(file());
  ASSERT_TRUE(stored);
  for (const NamedTensor& t : *stored)
    tensors[t.name] = t.value;
  EXPECT_TRUE(tensors["model.layers.2.embed_tokens.weight"].equal(policy.embedding().leaf()));
  EXPECT_TRUE(tensors["model.layers.2.shared_head.head.weight"].equal(policy.head().leaf()));

  // A config without the module leaves it out.
  PolicyConfig trunk = config;
  trunk.num_nextn_predict_layers = 0;
  ASSERT_TRUE(WriteWholeFile(folder_ / "config.json", ConfigJson(trunk)));
  const auto loaded = LoadPolicy(folder_);
  ASSERT_TRUE(loaded) << loaded.error().message;
  ExpectSameBits(*loaded, TinyPolicy());
}

// transformers writes config.json with the module and files without it.
TEST_F(CheckpointTest, AnMtpModuleThatOnlyTheConfigHasIsLeftOut) {
  ASSERT_TRUE(SavePolicy(TinyPolicy(), folder_));
  PolicyConfig config = TinyConfig();
  config.num_nextn_predict_layers = 1;
  ASSERT_TRUE(WriteWholeFile(folder_ / "config.json", ConfigJson(config)));
  const auto loaded = LoadPolicy(folder_);
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_EQ(loaded->config().num_nextn_predict_layers, 0);
  ExpectSameBits(*loaded, TinyPolicy());
}

// What a file holds, changed in one way, and what the refusal says.
struct SpoiltCase {
  const char* name;
  void (*spoil)(std::vector<NamedTensor>& tensors);
  Code code;
  std::vector<const char*> message;
};
void PrintTo(const SpoiltCase& c, std::ostream* os) {
  *os << c.name;
}

constexpr char kNorm[] = "model.norm.weight";

at::Tensor& Named(std::vector<NamedTensor>& tensors, const std::string& name) {
  return std::find_if(tensors.begin(), tensors.end(), [&](const auto& t) { return t.name == name; })
      ->value;
}

const SpoiltCase kSpoilt[] = {
    {"WrongShape",
     [](auto& tensors) { Named(tensors, kNorm) = at::ones({17}); },
     Code::kCorrupt,
     {"model.safetensors", kNorm, "[17]", "[16]"}},
    {"TransposedMatrix",
     [](auto& tensors) {
       at::Tensor& w = Named(tensors, "model.layers.0.mlp.up_proj.weight");
       w = w.t().contiguous();
     },
     Code::kCorrupt,
     {"model.layers.0.mlp.up_proj.weight", "[16, 24]", "[24, 16]"}},
    {"MissingTensor",
     [](auto& tensors) { std::erase_if(tensors, [](const auto& t) { return t.name == kNorm; }); },
     Code::kCorrupt,
     {kNorm, "missing"}},
    {"MissingBias",
     [](auto& tensors) {
       std::erase_if(tensors,
                     [](const auto& t) { return t.name.ends_with("e_score_correction_bias"); });
     },
     Code::kCorrupt,
     {"model.layers.1.mlp.gate.e_score_correction_bias", "missing"}},
    {"ExtraTensor",
     [](auto& tensors) {
       tensors.push_back({"model.layers.0.self_attn.q_proj.bias", at::ones({3})});
     },
     Code::kCorrupt,
     {"model.safetensors", "model.layers.0.self_attn.q_proj.bias", "not part of the model"}},
    {"WholeNumbers",
     [](auto& tensors) { Named(tensors, kNorm) = at::ones({16}, at::kLong); },
     Code::kCorrupt,
     {"model.safetensors", kNorm, "number type"}},
    {"NotANumber",
     [](auto& tensors) { Named(tensors, kNorm)[3] = std::numeric_limits<float>::quiet_NaN(); },
     Code::kCorrupt,
     {"model.safetensors", kNorm, "NaN"}},
    {"Infinity",
     [](auto& tensors) {
       Named(tensors, "lm_head.weight")[0][0] = std::numeric_limits<float>::infinity();
     },
     Code::kCorrupt,
     {"lm_head.weight", "infinity"}},
};

class SpoiltTest : public CheckpointTest, public testing::WithParamInterface<SpoiltCase> {};

TEST_P(SpoiltTest, NamesFileAndTensor) {
  const at::NoGradGuard no_grad;
  ASSERT_TRUE(SavePolicy(TinyPolicy(), folder_));
  std::vector<NamedTensor> tensors = LoadTensors(file()).value();
  GetParam().spoil(tensors);
  ASSERT_TRUE(SaveTensors(tensors, file()));
  const auto loaded = LoadPolicy(folder_);
  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error().code, GetParam().code);
  for (const char* part : GetParam().message)
    EXPECT_THAT(loaded.error().message, HasSubstr(part));
}
INSTANTIATE_TEST_SUITE_P(Table, SpoiltTest, testing::ValuesIn(kSpoilt), [](const auto& p) {
  return std::string(p.param.name);
});

TEST_F(CheckpointTest, AFileCutAnywhereIsCorrupt) {
  ASSERT_TRUE(SavePolicy(TinyPolicy(), folder_));
  const std::string bytes = ReadFile(file()).value();
  for (const std::size_t size : {bytes.size() - 1, bytes.size() / 2, std::size_t{500},
                                 std::size_t{8}, std::size_t{3}, std::size_t{0}}) {
    ASSERT_TRUE(WriteWholeFile(file(), bytes.substr(0, size)));
    const auto loaded = LoadPolicy(folder_);
    ASSERT_FALSE(loaded) << size;
    EXPECT_EQ(loaded.error().code, Code::kCorrupt) << size;
    EXPECT_THAT(loaded.error().message, HasSubstr("model.safetensors"));
  }
}

TEST_F(CheckpointTest, AFolderWithoutWeightsIsNotFound) {
  ASSERT_TRUE(SavePolicy(TinyPolicy(), folder_));
  fs::remove(file());
  for (const fs::path& folder : {folder_, folder_ / "none"}) {
    const auto loaded = LoadPolicy(folder);
    ASSERT_FALSE(loaded);
    EXPECT_EQ(loaded.error().code, Code::kNotFound);
    EXPECT_THAT(loaded.error().message, HasSubstr(folder.string()));
    EXPECT_FALSE(WeightsHash(folder));
  }
}

TEST_F(CheckpointTest, TensorsComeBackInNameOrder) {
  const std::vector<NamedTensor> tensors = {{"b", at::arange(6, at::kFloat).view({2, 3})},
                                            {"c", at::ones({3}).to(at::kBFloat16)},
                                            {"a", at::tensor({7, -1}, at::kLong)}};
  ASSERT_TRUE(SaveTensors(tensors, file()));
  const auto loaded = LoadTensors(file());
  ASSERT_TRUE(loaded) << loaded.error().message;
  ASSERT_EQ(loaded->size(), 3U);
  for (const auto& [at, from] : {std::pair{0U, 2U}, std::pair{1U, 0U}, std::pair{2U, 1U}}) {
    EXPECT_EQ((*loaded)[at].name, tensors[from].name);
    EXPECT_TRUE((*loaded)[at].value.equal(tensors[from].value)) << tensors[from].name;
  }
}

}  // namespace
}  // namespace aha::policy
