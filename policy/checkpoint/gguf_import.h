#pragma once
/// A GGUF file turned into a Hugging Face folder: weights dequantised, names, layout and tokenizer
/// as transformers has them. File to file, one tensor's rows at a time in memory.

#include <filesystem>

#include "base/result.h"
#include "policy/checkpoint/compare.h"
#include "policy/checkpoint/gguf_config.h"
#include "policy/checkpoint/gguf_tokenizer.h"
#include "policy/checkpoint/shards.h"

namespace aha::policy {

struct ImportOptions {
  SafetensorsDtype dtype = SafetensorsDtype::kBF16;  ///< of the weights written: kBF16 or kF32
  TokenizerReading reading = TokenizerReading::kTransformers;
  SaveOptions save = {};
};

struct ImportReport {
  std::int64_t tensors = 0, parameters = 0;
};

/// Architectures llama and qwen2. `folder` appears whole or not at all, with config.json,
/// generation_config.json, weights and tokenizer. Errors name the file and the key or tensor: what
/// is not supported (kInvalidArgument), what contradicts itself (kCorrupt).
Result<ImportReport> ImportGguf(const std::filesystem::path& file,
                                const std::filesystem::path& folder,
                                const ImportOptions& options = {});

/// The file's tensors held against what its keys describe.
std::vector<TensorProblem> CompareGguf(const GgufFile& file, const GgufModel& model);

}  // namespace aha::policy
