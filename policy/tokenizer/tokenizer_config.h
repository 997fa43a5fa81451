#pragma once
/// What transformers' AutoTokenizer wants beside tokenizer.json.

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "base/result.h"
#include "policy/tokenizer/tokenizer.h"

namespace aha::policy {

struct TokenizerConfig {
  std::string eos_token;                     ///< must be a token
  std::optional<std::string> pad_token;      ///< must be a token
  std::optional<std::string> bos_token;      ///< must be a token
  std::int64_t model_max_length = 0;         ///< in tokens; must be positive
  std::optional<std::string> chat_template;  ///< Jinja, as transformers has it
};

/// Writes tokenizer.json, tokenizer_config.json and special_tokens_map.json into `folder`, each
/// whole or not at all. kInvalidArgument names a token that `tokenizer` does not have.
Status WriteTokenizerFolder(const std::filesystem::path& folder,
                            const Tokenizer& tokenizer,
                            const TokenizerConfig& config);

}  // namespace aha::policy
