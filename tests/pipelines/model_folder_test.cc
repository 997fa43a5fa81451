#include "pipelines/model/model_folder.h"

#include <gtest/gtest.h>

#include "policy/model/tape_size.h"
#include "policy/training/update.h"
#include "tests/pipelines/small_policy.h"

namespace aha::pipelines {
namespace {

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
