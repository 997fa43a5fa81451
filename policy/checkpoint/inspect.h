#pragma once
/// What a checkpoint holds, from its headers alone: a dry run of loading it. No LibTorch here.

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "policy/checkpoint/compare.h"
#include "policy/config.h"

namespace aha::policy {

struct Inspection {
  std::string format;                  ///< "safetensors" or "gguf"
  std::optional<PolicyConfig> config;  ///< none: a single file without config.json beside it
  ParameterCount parameters;  ///< of the config; without one, `total` counts the file's numbers
  std::int64_t files = 0, tensors = 0, bytes = 0;
  std::map<std::string, std::int64_t> tensors_of_type;
  std::vector<TensorProblem> problems;  ///< empty: it will load
};

/// A folder, a single .safetensors or a .gguf file. A checkpoint that is not what its config
/// describes is no error here but has problems; files that break their format are errors.
Result<Inspection> Inspect(const std::filesystem::path& path);

struct Verification {
  std::int64_t verified = 0;    ///< tensors whose bytes have the SHA-256 recorded for them
  std::int64_t unrecorded = 0;  ///< tensors that no hash was recorded for
};

/// Reads every weight of a safetensors checkpoint on `threads` threads and compares hashes.
/// kCorrupt names file and tensor.
Result<Verification> VerifyCheckpoint(const std::filesystem::path& path, int threads);

}  // namespace aha::policy
