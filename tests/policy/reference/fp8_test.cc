// DeepSeek's FP8 folders from disk to logits, against LibTorch's own conversion of the numbers.

#include <filesystem>

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/whole_file.h"
#include "policy/checkpoint/checkpoint.h"
#include "policy/checkpoint/inspect.h"
#include "policy/reference/policy.h"
#include "tests/policy/reference/tiny_model.h"

namespace aha::policy::reference {
namespace {

namespace fs = std::filesystem;

// Below, at and above 128 rows and columns, and none but the head dimensions a multiple of it.
PolicyConfig OddSizes() {
  PolicyConfig c = TinyConfig();
  c.vocab_size = 24;
  c.hidden_size = 140;
  c.intermediate_size = 259;
  c.moe_intermediate_size = 128;
  c.q_lora_rank = 129;
  c.kv_lora_rank = 127;
  c.num_nextn_predict_layers = 1;
  c.dtype = NumberType::kBf16;
  return c;
}

bool Quantised(const std::string& name, const at::Tensor& value) {
  return value.dim() == 2 && (name.find("_proj") != std::string::npos) &&
         !name.ends_with("eh_proj.weight");
}

// One number for each 128 x 128 block, spread over the matrix.
at::Tensor Spread(const at::Tensor& scales, const at::Tensor& matrix) {
  return scales.repeat_interleave(128, 0)
      .repeat_interleave(128, 1)
      .slice(0, 0, matrix.size(0))
      .slice(1, 0, matrix.size(1));
}

at::Tensor BlockScales(const at::Tensor& matrix) {
  const std::int64_t rows = (matrix.size(0) + 127) / 128, columns = (matrix.size(1) + 127) / 128;
  at::Tensor scales = at::empty({rows, columns});
  for (std::int64_t r = 0; r < rows; ++r) {
    for (std::int64_t c = 0; c < columns; ++c) {
      const at::Tensor block =
          matrix.slice(0, 128 * r, 128 * r + 128).slice(1, 128 * c, 128 * c + 128);
      scales[r][c] = block.abs().max() / 448 * (1 + 0.1 * static_cast<double>(r + 3 * c));
    }
  }
  return scales;
}

TensorSource Source(std::string name, SafetensorsDtype type, at::Tensor value) {
  value = value.contiguous();
  return {std::move(name), type, value.sizes().vec(), [value](const ByteSink& sink) {
            return sink(
                std::span(static_cast<const std::byte*>(value.const_data_ptr()), value.nbytes()));
          }};
}

class Fp8Test : public testing::Test {
 protected:
  void SetUp() override {
    folder_ =
        fs::path(testing::TempDir()) /
        fmt::format("aha_fp8_{}", testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::remove_all(folder_);
    fs::create_directories(folder_);
    std::string config = ConfigJson(OddSizes());
    config.replace(config.rfind('}'), 1,
                   R"(, "quantization_config": {"activation_scheme": "dynamic", "fmt": "e4m3",
                       "quant_method": "fp8", "weight_block_size": [128, 128]}})");
    ASSERT_TRUE(WriteWholeFile(folder_ / "config.json", config));
    for (const auto* list : {&want_.parameters(), &want_.buffers()}) {
      for (const NamedTensor& tensor : *list)
        Add(tensor);
    }
    Copy("model.layers.2.embed_tokens.weight", want_.embedding().leaf());
    Copy("model.layers.2.shared_head.head.weight", want_.head().leaf());
    ASSERT_TRUE(WriteCheckpoint(folder_, sources_, {.max_shard_bytes = 60'000}));
  }
  void TearDown() override { fs::remove_all(folder_); }

  // Writes a tensor, and gives `want_` what LibTorch reads from what was written.
  void Add(const NamedTensor& tensor) {
    const c10::InferenceMode inference;
    const at::Tensor& value = tensor.value;
    if (!Quantised(tensor.name, value)) {
      const bool half = value.scalar_type() == at::kBFloat16;
      sources_.push_back(Source(
          tensor.name, half ? SafetensorsDtype::kBF16 : SafetensorsDtype::kF32, value.clone()));
      return;
    }
    const at::Tensor full = value.to(at::kFloat);
    const at::Tensor scales = BlockScales(full);
    const at::Tensor eighth = (full / Spread(scales, full)).to(at::kFloat8_e4m3fn);
    const at::Tensor back = eighth.to(at::kFloat) * Spread(scales, full);
    rounding_ = std::max(rounding_, (back - full).abs().max().item<double>());
    const_cast<at::Tensor&>(value).copy_(back);
    dequantised_[tensor.name] = back;
    sources_.push_back(Source(tensor.name, SafetensorsDtype::kF8E4M3, eighth));
    sources_.push_back(Source(tensor.name + "_scale_inv", SafetensorsDtype::kF32, scales));
  }
  void Copy(const std::string& name, const at::Tensor& value) {
    sources_.push_back(Source(name, SafetensorsDtype::kBF16, value));
  }

  fs::path folder_;
  Policy want_ = TinyPolicy(OddSizes());
  std::vector<TensorSource> sources_;
  std::map<std::string, at::Tensor> dequantised_;
  double rounding_ = 0;
};

Result<Policy> Load(const fs::path& folder, std::optional<NumberType> as = {}) {
  AHA_ASSIGN(const Weights weights, LoadWeights(folder, as));
  return Policy::Of(weights);
}

at::Tensor Logits(const Policy& policy) {
  const c10::InferenceMode inference;
  return kernels::Logits(policy.Forward(PackSequences({{1, 5, 9, 3, 14, 23}, {2, 2}})),
                         policy.head());
}

TEST_F(Fp8Test, LoadsAsTheDequantisedModel) {
  ASSERT_GT(dequantised_.size(), 30U);
  ASSERT_GT(rounding_, 1e-3);  // FP8 did change the weights
  const auto half = Load(folder_);
  ASSERT_TRUE(half) << half.error().message;
  for (std::size_t i = 0; i < want_.parameters().size(); ++i) {
    EXPECT_TRUE(half->parameters()[i].value.equal(want_.parameters()[i].value))
        << half->parameters()[i].name;
  }
  EXPECT_TRUE(Logits(*half).equal(Logits(want_)));

  const auto full = Load(folder_, NumberType::kFp32);
  ASSERT_TRUE(full) << full.error().message;
  for (const NamedTensor& tensor : full->parameters()) {
    const auto found = dequantised_.find(tensor.name);
    if (found == dequantised_.end()) continue;
    EXPECT_TRUE(tensor.value.equal(found->second)) << tensor.name;
  }
}

TEST_F(Fp8Test, IsSavedWithoutFp8) {
  const fs::path again = folder_ / "again";
  fs::create_directories(again);
  ASSERT_TRUE(SaveWeights(*LoadWeights(folder_), again));
  const auto text = ReadFile(again / "config.json");
  EXPECT_THAT(*text, testing::Not(testing::HasSubstr("quantization_config")));
  const auto back = Load(again);
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_TRUE(Logits(*back).equal(Logits(want_)));
}

TEST_F(Fp8Test, InspectCountsWeightsAndNotScales) {
  const auto seen = Inspect(folder_);
  ASSERT_TRUE(seen) << seen.error().message;
  EXPECT_TRUE(seen->problems.empty()) << seen->problems.front().message;
  EXPECT_EQ(seen->tensors_of_type.at("F8_E4M3"), static_cast<std::int64_t>(dequantised_.size()));
  std::int64_t numbers = 0;
  for (const auto* list : {&want_.parameters(), &want_.buffers()}) {
    for (const NamedTensor& tensor : *list)
      numbers += tensor.value.numel();
  }
  EXPECT_EQ(seen->parameters.total + seen->parameters.mtp, numbers);
  EXPECT_GT(seen->files, 1);
}

}  // namespace
}  // namespace aha::policy::reference
