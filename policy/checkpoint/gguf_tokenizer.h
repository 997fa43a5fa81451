#pragma once
/// The tokenizer that a GGUF file describes, as a Hugging Face tokenizer.json.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "policy/checkpoint/gguf.h"

namespace aha::policy {

/// Where transformers and llama.cpp make different tokenizers of one file: transformers reads the
/// pre-tokenizer `smollm` as GPT-2's, llama.cpp cuts single digits first, as the model was trained;
/// and of Llama 3's vocabulary llama.cpp takes whole words that no merges reach.
enum class TokenizerReading : std::uint8_t { kTransformers, kLlamaCpp };

struct GgufTokenizer {
  std::string json;  ///< tokenizer.json
  std::string eos_token;
  std::optional<std::string> bos_token, pad_token, chat_template;
  std::int64_t eos_id = 0;
  std::optional<std::int64_t> bos_id, pad_id, eot_id;
};

/// Byte-level BPE (tokenizer.ggml.model "gpt2") alone. Control tokens become special added tokens,
/// user-defined ones added tokens that decoders keep. kInvalidArgument, naming file and key, for
/// another kind of tokenizer or a pre-tokenizer that is not known; kCorrupt for contradictions.
Result<GgufTokenizer> ReadGgufTokenizer(const GgufFile& file, TokenizerReading reading);

}  // namespace aha::policy
