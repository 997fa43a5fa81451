#pragma once
/// The shape of the model in a GGUF file, from its keys, and the config.json that says the same.

#include <cstdint>
#include <string>

#include "base/result.h"
#include "policy/checkpoint/gguf.h"
#include "policy/checkpoint/gguf_tokenizer.h"
#include "policy/checkpoint/safetensors.h"

namespace aha::policy {

/// Llama 3's blend of rotation frequencies, told from rope_freqs.weight.
struct GgufRope {
  double theta = 10000;
  std::string kind = "default";  ///< rope_type: default, linear, yarn or llama3
  double factor = 1, low_freq_factor = 1, high_freq_factor = 4;
  std::int64_t original_context = 8192;
};

struct GgufModel {
  std::string architecture;  ///< "llama" or "qwen2"
  std::int64_t vocab = 0, hidden = 0, intermediate = 0, layers = 0, heads = 0, kv_heads = 0;
  std::int64_t head_dim = 0, context = 0;
  double norm_eps = 0;
  GgufRope rope;
  bool tied = false;            ///< no output.weight: the embedding is the head too
  bool attention_bias = false;  ///< llama: on q, k, v and o; qwen2: always on q, k and v
};

/// kInvalidArgument for another architecture, experts, sliding windows and rope scalings that have
/// no counterpart; kCorrupt for keys that are missing or out of range.
Result<GgufModel> ReadGgufModel(const GgufFile& file);

std::string GgufConfigJson(const GgufModel& model,
                           const GgufTokenizer& tokenizer,
                           SafetensorsDtype dtype);
std::string GgufGenerationJson(const GgufTokenizer& tokenizer);

}  // namespace aha::policy
