#include "pipelines/model/model_folder.h"

#include <gtest/gtest.h>

#include "policy/model/tape_size.h"
#include "policy/training/update.h"

namespace aha::pipelines {
namespace {

policy::PolicyConfig Grouped() {
  policy::PolicyConfig c;
  c.family = policy::Family::kLlama;
  c.attention = policy::AttentionKind::kGrouped;
  c.vocab_size = 1000;
  c.hidden_size = 64;
  c.intermediate_size = 128;
  c.num_hidden_layers = 3;
  c.num_attention_heads = 4;
  c.num_key_value_heads = 2;
  c.head_dim = 16;
  c.tie_word_embeddings = true;
  return c;
}

std::int64_t StateBytes(const policy::Weights& weights, policy::Moments moments) {
  policy::AdamWOptions options;
  options.moments = moments;
  const policy::AdamW optimizer(weights, options);
  std::int64_t bytes = 0;
  for (const policy::TensorView& tensor : optimizer.State())
    bytes += static_cast<std::int64_t>(tensor.data.size());
  return bytes;
}

TEST(EstimateBytesTest, MomentsCountAsTheOptimizerHoldsThem) {
  const policy::PolicyConfig c = Grouped();
  const policy::Weights weights =
      policy::Weights::Initial(c, KeyedRandom(1, "test"), policy::WeightsUse::kTraining);
  const auto estimate = [&](policy::Moments moments) {
    return EstimateBytes(c, Use::kTraining, {4096, moments});
  };
  EXPECT_EQ(
      estimate(policy::Moments::kFp32) - estimate(policy::Moments::kBf16),
      StateBytes(weights, policy::Moments::kFp32) - StateBytes(weights, policy::Moments::kBf16));
}

TEST(EstimateBytesTest, AMicroBatchCountsAsItsTapeButNeverMoreThanIsKept) {
  const policy::PolicyConfig c = Grouped();
  const auto estimate = [&](std::int64_t tokens) {
    return EstimateBytes(c, Use::kTraining, {tokens, policy::Moments::kFp32});
  };
  EXPECT_EQ(estimate(1000) - estimate(10),
            static_cast<std::int64_t>(policy::TapeBytes(c, 1000) - policy::TapeBytes(c, 10)));
  EXPECT_EQ(estimate(std::int64_t{1} << 40) - estimate(0),
            static_cast<std::int64_t>(policy::Update::kMostTapeBytes));
}

}  // namespace
}  // namespace aha::pipelines
