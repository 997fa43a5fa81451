#pragma once
/// aha bench: prompts and decoding, beside what this machine can do, and whether the bits are the
/// learner's.

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"

namespace aha::pipelines {

struct DecodeBenchOptions {
  std::string folder, text, speculation = "off", device = "cpu";
  std::vector<std::int32_t> text_ids, stop_ids;
  std::vector<std::uint32_t> batches = {1, 16, 64, 256};
  std::uint32_t prompt = 64, most_new = 128, samples = 1, threads = 0, drafts = 1;
  double temperature = 1;
  bool stop =
      false;  ///< at the model's own stop tokens; else all completions have `most_new` tokens
  bool json = false;
};

/// Prints figures of each batch size: tokens a second, a decoding step's time by kind of kernel
/// with its shares of the measured peak and bandwidth, log-probabilities that differ from the
/// whole-sequence pass.
Status RunDecodeBench(DecodeBenchOptions options);

}  // namespace aha::pipelines
