#include "policy/tokenizer/tokenizer_config.h"

#include <nlohmann/json.hpp>

#include "base/whole_file.h"

namespace aha::policy {
namespace {

using Json = nlohmann::ordered_json;

Json AddedTokensDecoder(const Tokenizer& tokenizer) {
  Json decoder = Json::object();
  for (const AddedToken& token : tokenizer.added_tokens()) {
    decoder[std::to_string(token.id)] = {
        {"content", token.content},         {"lstrip", token.lstrip},
        {"normalized", token.normalized},   {"rstrip", token.rstrip},
        {"single_word", token.single_word}, {"special", token.special}};
  }
  return decoder;
}

}  // namespace

Status WriteTokenizerFolder(const std::filesystem::path& folder,
                            const Tokenizer& tokenizer,
                            const TokenizerConfig& config) {
  if (config.model_max_length <= 0) {
    return Fail(Code::kInvalidArgument, "model_max_length: {} is not positive",
                config.model_max_length);
  }
  Json roles = Json::object();
  const auto add = [&](const char* role, const std::optional<std::string>& token) -> Status {
    if (!token) return {};
    if (!tokenizer.IdOf(*token)) {
      return Fail(Code::kInvalidArgument, "{}: the tokenizer has no token \"{}\"", role, *token);
    }
    roles[role] = *token;
    return {};
  };
  AHA_TRY(add("bos_token", config.bos_token));
  AHA_TRY(add("eos_token", config.eos_token));
  AHA_TRY(add("pad_token", config.pad_token));

  Json json = {{"added_tokens_decoder", AddedTokensDecoder(tokenizer)},
               {"clean_up_tokenization_spaces", false},
               {"model_max_length", config.model_max_length},
               {"tokenizer_class", "PreTrainedTokenizerFast"}};
  json.update(roles);
  if (config.chat_template) json["chat_template"] = *config.chat_template;

  AHA_TRY(WriteWholeFile(folder / "tokenizer.json", tokenizer.text()));
  AHA_TRY(WriteWholeFile(folder / "special_tokens_map.json", roles.dump(2) + "\n"));
  return WriteWholeFile(folder / "tokenizer_config.json", json.dump(2) + "\n");
}

}  // namespace aha::policy
