#include "policy/checkpoint/checkpoint.h"

#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <limits>
#include <numeric>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/content_hash.h"
#include "base/whole_file.h"
#include "tests/policy/tiny_weights.h"

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

void ExpectSameBits(const Weights& a, const Weights& b) {
  ASSERT_EQ(a.tensors().size(), b.tensors().size());
  EXPECT_THAT(Differing(a, b), testing::IsEmpty());
}

// A tensor with bytes of its own.
struct Stored {
  std::string name;
  SafetensorsDtype dtype = SafetensorsDtype::kF32;
  std::vector<std::int64_t> shape;
  std::vector<std::byte> bytes;

  [[nodiscard]] TensorView view() const { return {name, dtype, shape, bytes}; }
};

Stored Floats(std::string name, std::vector<std::int64_t> shape, float value) {
  const std::int64_t numbers =
      std::accumulate(shape.begin(), shape.end(), std::int64_t{1}, std::multiplies<>());
  const std::vector<float> values(static_cast<std::size_t>(numbers), value);
  const auto bytes = std::as_bytes(std::span(values));
  return {std::move(name), SafetensorsDtype::kF32, std::move(shape), {bytes.begin(), bytes.end()}};
}

std::vector<Stored> ReadAll(const fs::path& path) {
  const auto file = SafetensorsFile::Open(path).value();
  std::vector<Stored> all;
  for (const TensorView& t : file.tensors())
    all.push_back({t.name, t.dtype, t.shape, {t.data.begin(), t.data.end()}});
  return all;
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
  const Weights weights = TinyWeights(config);
  ASSERT_TRUE(SaveWeights(weights, folder_));
  const auto loaded = LoadWeights(folder_);
  ASSERT_TRUE(loaded) << loaded.error().message;
  ExpectSameBits(*loaded, weights);
  EXPECT_EQ(loaded->config().dtype, config.dtype);

  const std::string hash = WeightsHash(folder_).value();
  EXPECT_EQ(hash, HashFile(file()).value());
  ASSERT_TRUE(SaveWeights(*loaded, folder_));
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
  const Weights weights = TinyWeights();
  ASSERT_TRUE(SaveWeights(weights, folder_));
  const auto half = LoadWeights(folder_, NumberType::kBf16);
  ASSERT_TRUE(half) << half.error().message;
  EXPECT_EQ(half->kind(), cpu::NumberKind::kBf16);
  std::vector<float> want = NumbersOf(weights, "lm_head.weight");
  for (float& x : want)
    x = cpu::ToFloat(cpu::ToBf16(x));
  EXPECT_EQ(NumbersOf(*half, "lm_head.weight"), want);
}

TEST_F(CheckpointTest, MtpEndsAreWrittenAsCopies) {
  PolicyConfig config = TinyConfig();
  config.num_nextn_predict_layers = 1;
  const Weights weights = TinyWeights(config);
  ASSERT_TRUE(SaveWeights(weights, folder_));
  const auto stored = SafetensorsFile::Open(file()).value();
  for (const auto& [copy, name] :
       {std::pair{"model.layers.2.embed_tokens.weight", "model.embed_tokens.weight"},
        {"model.layers.2.shared_head.head.weight", "lm_head.weight"}}) {
    const auto a = stored.Find(copy)->data, b = stored.Find(name)->data;
    EXPECT_TRUE(std::equal(a.begin(), a.end(), b.begin(), b.end())) << copy;
  }

  // A config without the module leaves it out.
  PolicyConfig trunk = config;
  trunk.num_nextn_predict_layers = 0;
  ASSERT_TRUE(WriteWholeFile(folder_ / "config.json", ConfigJson(trunk)));
  const auto loaded = LoadWeights(folder_);
  ASSERT_TRUE(loaded) << loaded.error().message;
  ExpectSameBits(*loaded, TinyWeights());
}

// transformers writes config.json with the module and files without it.
TEST_F(CheckpointTest, AnMtpModuleThatOnlyTheConfigHasIsLeftOut) {
  ASSERT_TRUE(SaveWeights(TinyWeights(), folder_));
  PolicyConfig config = TinyConfig();
  config.num_nextn_predict_layers = 1;
  ASSERT_TRUE(WriteWholeFile(folder_ / "config.json", ConfigJson(config)));
  const auto loaded = LoadWeights(folder_);
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_EQ(loaded->config().num_nextn_predict_layers, 0);
  ExpectSameBits(*loaded, TinyWeights());
}

// What a file holds, changed in one way, and what the refusal says.
struct SpoiltCase {
  const char* name;
  void (*spoil)(std::vector<Stored>& tensors);
  Code code;
  std::vector<const char*> message;
};
void PrintTo(const SpoiltCase& c, std::ostream* os) {
  *os << c.name;
}

constexpr char kNorm[] = "model.norm.weight";

Stored& Named(std::vector<Stored>& tensors, const std::string& name) {
  return *std::find_if(tensors.begin(), tensors.end(),
                       [&](const auto& t) { return t.name == name; });
}
void SetNumber(Stored& tensor, std::size_t place, float value) {
  std::memcpy(tensor.bytes.data() + place * sizeof(float), &value, sizeof(float));
}

const SpoiltCase kSpoilt[] = {
    {"WrongShape",
     [](auto& tensors) { Named(tensors, kNorm) = Floats(kNorm, {17}, 1); },
     Code::kCorrupt,
     {"model.safetensors", kNorm, "[17]", "[16]"}},
    {"TransposedMatrix",
     [](auto& tensors) {
       auto& shape = Named(tensors, "model.layers.0.mlp.up_proj.weight").shape;
       std::swap(shape[0], shape[1]);
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
       tensors.push_back(Floats("model.layers.0.self_attn.q_proj.bias", {3}, 1));
     },
     Code::kCorrupt,
     {"model.safetensors", "model.layers.0.self_attn.q_proj.bias", "not part of the model"}},
    {"WholeNumbers",
     [](auto& tensors) {
       Named(tensors, kNorm) = {kNorm, SafetensorsDtype::kI64, {16}, std::vector<std::byte>(128)};
     },
     Code::kCorrupt,
     {"model.safetensors", kNorm, "number type"}},
    {"NotANumber",
     [](auto& tensors) {
       SetNumber(Named(tensors, kNorm), 3, std::numeric_limits<float>::quiet_NaN());
     },
     Code::kCorrupt,
     {"model.safetensors", kNorm, "NaN"}},
    {"Infinity",
     [](auto& tensors) {
       SetNumber(Named(tensors, "lm_head.weight"), 0, std::numeric_limits<float>::infinity());
     },
     Code::kCorrupt,
     {"lm_head.weight", "infinity"}},
};

class SpoiltTest : public CheckpointTest, public testing::WithParamInterface<SpoiltCase> {};

TEST_P(SpoiltTest, NamesFileAndTensor) {
  ASSERT_TRUE(SaveWeights(TinyWeights(), folder_));
  std::vector<Stored> tensors = ReadAll(file());
  GetParam().spoil(tensors);
  std::vector<TensorView> views;
  for (const Stored& t : tensors)
    views.push_back(t.view());
  ASSERT_TRUE(WriteSafetensors(file(), views, {}));
  const auto loaded = LoadWeights(folder_);
  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error().code, GetParam().code);
  for (const char* part : GetParam().message)
    EXPECT_THAT(loaded.error().message, HasSubstr(part));
}
INSTANTIATE_TEST_SUITE_P(Table, SpoiltTest, testing::ValuesIn(kSpoilt), [](const auto& p) {
  return std::string(p.param.name);
});

TEST_F(CheckpointTest, AFileCutAnywhereIsCorrupt) {
  ASSERT_TRUE(SaveWeights(TinyWeights(), folder_));
  const std::string bytes = ReadFile(file()).value();
  for (const std::size_t size : {bytes.size() - 1, bytes.size() / 2, std::size_t{500},
                                 std::size_t{8}, std::size_t{3}, std::size_t{0}}) {
    ASSERT_TRUE(WriteWholeFile(file(), bytes.substr(0, size)));
    const auto loaded = LoadWeights(folder_);
    ASSERT_FALSE(loaded) << size;
    EXPECT_EQ(loaded.error().code, Code::kCorrupt) << size;
    EXPECT_THAT(loaded.error().message, HasSubstr("model.safetensors"));
  }
}

TEST_F(CheckpointTest, AFolderWithoutWeightsIsNotFound) {
  ASSERT_TRUE(SaveWeights(TinyWeights(), folder_));
  fs::remove(file());
  for (const fs::path& folder : {folder_, folder_ / "none"}) {
    const auto loaded = LoadWeights(folder);
    ASSERT_FALSE(loaded);
    EXPECT_EQ(loaded.error().code, Code::kNotFound);
    EXPECT_THAT(loaded.error().message, HasSubstr(folder.string()));
    EXPECT_FALSE(WeightsHash(folder));
  }
}

TEST_F(CheckpointTest, SomeTensorsComeBackAlone) {
  const Weights weights = TinyWeights();
  const std::vector<std::size_t> some = {0, 3, weights.selection_biases().at(0)};
  ASSERT_TRUE(SaveTensors(weights, some, file()));
  EXPECT_EQ(SafetensorsFile::Open(file())->tensors().size(), some.size());
  Weights other = Weights::Initial(TinyConfig(), KeyedRandom(1, "other"));
  const std::size_t apart = Differing(other, weights).size();
  ASSERT_TRUE(RestoreTensors(other, some, file()));
  EXPECT_EQ(Differing(other, weights).size(), apart - some.size());
  const std::vector<std::size_t> more = {0, 1};
  const Status missing = RestoreTensors(other, more, file());
  ASSERT_FALSE(missing);
  EXPECT_THAT(missing.error().message, HasSubstr(weights.tensors()[1].spec.name));
}

}  // namespace
}  // namespace aha::policy
