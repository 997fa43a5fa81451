#include "policy/checkpoint/gguf_tokenizer.h"

#include <algorithm>
#include <array>
#include <unordered_map>

#include <nlohmann/json.hpp>

#include "policy/tokenizer/utf8.h"

namespace aha::policy {
namespace {

using Json = nlohmann::ordered_json;

// tokenizer.ggml.token_type
constexpr std::int64_t kControl = 3;
constexpr std::int64_t kUserDefined = 4;

constexpr std::string_view kLlama3 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kQwen2 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kTekken =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

struct Pre {
  std::string_view name;
  std::string_view split;      // empty: GPT-2's, which ByteLevel has built in
  bool digits_first = false;   // llama.cpp cuts single digits before GPT-2's split
  bool ignore_merges = false;  // llama.cpp takes whole words of the vocabulary
};
constexpr std::array<Pre, 13> kPres{{{"gpt-2", "", false, false},
                                     {"default", "", false, false},
                                     {"smollm", "", true, false},
                                     {"llama-bpe", kLlama3, false, true},
                                     {"llama3", kLlama3, false, true},
                                     {"llama-v3", kLlama3, false, true},
                                     {"falcon3", kLlama3, false, true},
                                     {"pixtral", kLlama3, false, true},
                                     {"smaug-bpe", kLlama3, false, false},
                                     {"dbrx", kLlama3, false, false},
                                     {"tekken", kTekken, false, true},
                                     {"qwen2", kQwen2, false, false},
                                     {"deepseek-r1-qwen", kQwen2, false, false}}};

Result<const Pre*> PreOf(const GgufFile& file) {
  AHA_ASSIGN(const std::string_view name, file.Text("tokenizer.ggml.pre", "default"));
  std::string known;
  for (const Pre& pre : kPres) {
    if (pre.name == name) return &pre;
    known += fmt::format("{}{}", known.empty() ? "" : ", ", pre.name);
  }
  return Fail(Code::kInvalidArgument,
              "{}: key tokenizer.ggml.pre: {:.80} is not supported; known: {}", file.name(), name,
              known);
}

Json PreTokenizerJson(const Pre& pre, TokenizerReading reading) {
  const bool own = !pre.split.empty();
  const Json bytes = {{"type", "ByteLevel"},
                      {"add_prefix_space", false},
                      {"trim_offsets", true},
                      {"use_regex", !own}};
  Json first;
  if (own) {
    first = {{"type", "Split"},
             {"pattern", {{"Regex", pre.split}}},
             {"behavior", "Isolated"},
             {"invert", false}};
  } else if (pre.digits_first && reading == TokenizerReading::kLlamaCpp) {
    first = {{"type", "Digits"}, {"individual_digits", true}};
  } else {
    return bytes;
  }
  return {{"type", "Sequence"}, {"pretokenizers", Json::array({first, bytes})}};
}

// Puts the beginning-of-text token before every text.
Json PostProcessorJson(const std::optional<std::pair<std::string, std::int64_t>>& bos) {
  if (!bos) return nullptr;
  const std::string& token = bos->first;
  const std::int64_t id = bos->second;
  const auto part = [&](const char* sequence, int type) {
    return Json::array({{{"SpecialToken", {{"id", token}, {"type_id", type}}}},
                        {{"Sequence", {{"id", sequence}, {"type_id", type}}}}});
  };
  Json pair = part("A", 0);
  for (Json& piece : part("B", 1))
    pair.push_back(std::move(piece));
  return {
      {"type", "TemplateProcessing"},
      {"single", part("A", 0)},
      {"pair", pair},
      {"special_tokens",
       {{token, {{"id", token}, {"ids", Json::array({id})}, {"tokens", Json::array({token})}}}}}};
}

// The vocabulary as the file has it, with what each token is.
struct Tokens {
  std::vector<std::string_view> texts;
  std::vector<std::int64_t> types;  // 0: none given
};

Result<Tokens> ReadTokens(const GgufFile& file) {
  Tokens tokens;
  AHA_ASSIGN(tokens.texts, file.Texts("tokenizer.ggml.tokens"));
  for (std::size_t i = 0; i < tokens.texts.size(); ++i) {
    if (!FirstInvalidUtf8(tokens.texts[i])) continue;
    return Fail(Code::kCorrupt, "{}: key tokenizer.ggml.tokens: token {} is not UTF-8", file.name(),
                i);
  }
  tokens.types.assign(tokens.texts.size(), 0);
  if (!file.Has("tokenizer.ggml.token_type")) return tokens;
  AHA_ASSIGN(tokens.types, file.Counts("tokenizer.ggml.token_type"));
  if (tokens.types.size() != tokens.texts.size()) {
    return Fail(Code::kCorrupt, "{}: key tokenizer.ggml.token_type: has {} entries, tokens has {}",
                file.name(), tokens.types.size(), tokens.texts.size());
  }
  return tokens;
}

// The id under `key`, if there is one; it must be a token's.
Result<std::optional<std::int64_t>> TokenId(const GgufFile& file,
                                            const std::string& key,
                                            const Tokens& tokens) {
  if (!file.Has(key)) return std::optional<std::int64_t>();
  AHA_ASSIGN(const std::int64_t id, file.Count(key));
  if (id >= static_cast<std::int64_t>(tokens.texts.size())) {
    return Fail(Code::kCorrupt, "{}: key {}: is {}, and there are {} tokens", file.name(), key, id,
                tokens.texts.size());
  }
  return std::optional(id);
}

// Tokens that are found in a text as they are spelt keep their spelling; the others are spelt in
// the byte-level alphabet, as in the file or, where it was forgotten, made so.
Result<Json> VocabJson(const GgufFile& file, const Tokens& tokens, const std::vector<bool>& added) {
  std::unordered_map<std::string, std::size_t> ids;
  Json vocab = Json::object();
  auto& object = vocab.get_ref<Json::object_t&>();
  object.reserve(tokens.texts.size());
  for (std::size_t i = 0; i < tokens.texts.size(); ++i) {
    std::string text(tokens.texts[i]);
    if (!added[i] && !FromByteLevel(text)) text = ToByteLevel(text);
    if (const auto [other, is_new] = ids.emplace(text, i); !is_new) {
      return Fail(Code::kCorrupt, "{}: key tokenizer.ggml.tokens: tokens {} and {} are the same",
                  file.name(), other->second, i);
    }
    object.emplace_back(std::move(text), i);
  }
  return vocab;
}

Result<Json> MergesJson(const GgufFile& file) {
  AHA_ASSIGN(const std::vector<std::string_view> merges, file.Texts("tokenizer.ggml.merges"));
  Json list = Json::array();
  for (std::size_t i = 0; i < merges.size(); ++i) {
    const std::size_t space = merges[i].find(' ');
    const bool two =
        space != std::string_view::npos && merges[i].find(' ', space + 1) == std::string_view::npos;
    if (!two || FirstInvalidUtf8(merges[i])) {
      return Fail(Code::kCorrupt,
                  "{}: key tokenizer.ggml.merges: merge {} is not two tokens with a space between",
                  file.name(), i);
    }
    list.push_back(Json::array({merges[i].substr(0, space), merges[i].substr(space + 1)}));
  }
  return list;
}

Json AddedTokensJson(const Tokens& tokens,
                     const std::vector<bool>& added,
                     const std::vector<bool>& special) {
  Json list = Json::array();
  for (std::size_t i = 0; i < added.size(); ++i) {
    if (!added[i]) continue;
    list.push_back({{"id", i},
                    {"content", tokens.texts[i]},
                    {"single_word", false},
                    {"lstrip", false},
                    {"rstrip", false},
                    {"normalized", false},
                    {"special", static_cast<bool>(special[i])}});
  }
  return list;
}

}  // namespace

Result<GgufTokenizer> ReadGgufTokenizer(const GgufFile& file, TokenizerReading reading) {
  AHA_ASSIGN(const std::string_view model, file.Text("tokenizer.ggml.model"));
  if (model != "gpt2") {
    return Fail(
        Code::kInvalidArgument,
        "{}: key tokenizer.ggml.model: {:.80} is not supported; known: gpt2 (byte-level BPE)",
        file.name(), model);
  }
  AHA_ASSIGN(const Pre* pre, PreOf(file));
  AHA_ASSIGN(const Tokens tokens, ReadTokens(file));
  GgufTokenizer made;
  AHA_ASSIGN(const auto eos, TokenId(file, "tokenizer.ggml.eos_token_id", tokens));
  AHA_ASSIGN(made.bos_id, TokenId(file, "tokenizer.ggml.bos_token_id", tokens));
  AHA_ASSIGN(made.pad_id, TokenId(file, "tokenizer.ggml.padding_token_id", tokens));
  AHA_ASSIGN(made.eot_id, TokenId(file, "tokenizer.ggml.eot_token_id", tokens));
  AHA_ASSIGN(const auto unknown, TokenId(file, "tokenizer.ggml.unknown_token_id", tokens));
  if (!eos)
    return Fail(Code::kCorrupt, "{}: key tokenizer.ggml.eos_token_id is missing", file.name());
  made.eos_id = *eos;

  std::vector<bool> added(tokens.texts.size());
  std::vector<bool> special(tokens.texts.size());
  for (std::size_t i = 0; i < tokens.types.size(); ++i) {
    special[i] = tokens.types[i] == kControl && !tokens.texts[i].empty();
    added[i] = special[i] || (tokens.types[i] == kUserDefined && !tokens.texts[i].empty());
  }
  for (const auto& id : {eos, made.bos_id, made.pad_id, unknown}) {
    if (id) special[static_cast<std::size_t>(*id)] = added[static_cast<std::size_t>(*id)] = true;
  }
  const auto text = [&](std::int64_t id) {
    return std::string(tokens.texts[static_cast<std::size_t>(id)]);
  };
  made.eos_token = text(made.eos_id);
  if (made.bos_id) made.bos_token = text(*made.bos_id);
  if (made.pad_id) made.pad_token = text(*made.pad_id);
  if (file.Has("tokenizer.chat_template")) {
    AHA_ASSIGN(const std::string_view chat, file.Text("tokenizer.chat_template"));
    if (FirstInvalidUtf8(chat))
      return Fail(Code::kCorrupt, "{}: key tokenizer.chat_template: is not UTF-8", file.name());
    made.chat_template = std::string(chat);
  }
  AHA_ASSIGN(const bool add_bos, file.Flag("tokenizer.ggml.add_bos_token", false));
  std::optional<std::pair<std::string, std::int64_t>> bos;
  if (add_bos && made.bos_id) bos.emplace(*made.bos_token, *made.bos_id);

  AHA_ASSIGN(Json vocab, VocabJson(file, tokens, added));
  AHA_ASSIGN(Json merges, MergesJson(file));
  const Json json = {
      {"version", "1.0"},
      {"truncation", nullptr},
      {"padding", nullptr},
      {"added_tokens", AddedTokensJson(tokens, added, special)},
      {"normalizer", nullptr},
      {"pre_tokenizer", PreTokenizerJson(*pre, reading)},
      {"post_processor", PostProcessorJson(bos)},
      {"decoder",
       {{"type", "ByteLevel"},
        {"add_prefix_space", true},
        {"trim_offsets", true},
        {"use_regex", true}}},
      {"model",
       {{"type", "BPE"},
        {"dropout", nullptr},
        {"unk_token", nullptr},
        {"continuing_subword_prefix", ""},
        {"end_of_word_suffix", ""},
        {"fuse_unk", false},
        {"byte_fallback", false},
        {"ignore_merges", reading == TokenizerReading::kLlamaCpp && pre->ignore_merges},
        {"vocab", std::move(vocab)},
        {"merges", std::move(merges)}}}};
  made.json = json.dump(1) + "\n";
  return made;
}

}  // namespace aha::policy
