#pragma once
/// aha bench --train and --grpo: the speed of an update and of a whole GRPO step.

#include <cstdint>
#include <string>

#include "base/result.h"

namespace aha::pipelines {

struct TrainBenchOptions {
  std::string folder;
  std::uint32_t batch = 8, length = 192;  ///< --train: sequences of so many tokens
  std::uint32_t prompts = 8, samples = 8, prompt = 64, most_new = 128;  ///< --grpo
  std::uint32_t micro_batch_tokens = 4096, steps = 3, threads = 0;
  bool bf16_moments = false;  // of AdamW
  bool json = false;
};

/// Updates on random tokens, each predicted from those before it: tokens a second, seconds by kind
/// of work, share of the measured peak. The median of `steps` updates; one before them is not
/// counted.
Status RunTrainBench(const TrainBenchOptions& options);

/// GRPO steps on random prompts, nothing stops a completion early: seconds of rollout, reward (the
/// share of distinct tokens in a completion) and learning, and the process's peak memory.
Status RunGrpoBench(const TrainBenchOptions& options);

}  // namespace aha::pipelines
