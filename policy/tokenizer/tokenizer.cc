#include "policy/tokenizer/tokenizer.h"

#include <algorithm>
#include <limits>
#include <unordered_set>

#include "base/whole_file.h"
#include "policy/checkpoint/strict_json.h"
#include "policy/tokenizer/bpe.h"
#include "policy/tokenizer/normalizer.h"
#include "policy/tokenizer/post_processor.h"
#include "policy/tokenizer/pre_tokenizer.h"
#include "policy/tokenizer/utf8.h"

namespace aha::policy {

struct Tokenizer::Rep {
  struct Entry {
    std::string token;  // as spelt in the file; empty where no token has this id
    std::string bytes;  // what it decodes to
    bool special = false;
  };

  std::string text;
  TextNormalizer normalizer;
  PreTokenizer pre_tokenizer;
  BpeModel model;
  PostProcessor post_processor;
  std::vector<AddedToken> added;           // by id
  StringMap<std::int32_t> added_ids;       // by content
  AddedTokenFinder before{{}}, after{{}};  // looked for before and after normalisation
  std::vector<Entry> entries;              // by id

  Status ReadAdded(const nlohmann::json& json);
  Status FillEntries();
  Status EncodePlain(std::string_view text,
                     BpeModel::Scratch* scratch,
                     std::vector<std::int32_t>* ids) const;
  [[nodiscard]] const Entry* Find(std::int32_t id) const {
    const auto at = static_cast<std::size_t>(id);
    return id >= 0 && at < entries.size() ? &entries[at] : nullptr;
  }
};

namespace {

Result<AddedToken> ReadAddedToken(const nlohmann::json& json, const std::string& where) {
  AddedToken token;
  AHA_ASSIGN(const auto id, JsonField<std::int64_t>(json, where, "id"));
  if (id < 0 || id > BpeModel::kMaxId) {
    return Fail(Code::kCorrupt, "{}.id: {} is not between 0 and {}", where, id, BpeModel::kMaxId);
  }
  token.id = static_cast<std::int32_t>(id);
  AHA_ASSIGN(token.content, JsonField<std::string>(json, where, "content"));
  AHA_ASSIGN(token.single_word, JsonField<bool>(json, where, "single_word"));
  AHA_ASSIGN(token.lstrip, JsonField<bool>(json, where, "lstrip"));
  AHA_ASSIGN(token.rstrip, JsonField<bool>(json, where, "rstrip"));
  AHA_ASSIGN(token.normalized, JsonField<bool>(json, where, "normalized"));
  AHA_ASSIGN(token.special, JsonField<bool>(json, where, "special"));
  return token;
}

// ByteLevel, alone or in a Sequence with steps that only join strings.
Status CheckDecoder(const nlohmann::json& json, const std::string& where) {
  if (json.is_null()) {
    return Fail(Code::kInvalidArgument, "{}: is missing; only the ByteLevel decoder is supported",
                where);
  }
  AHA_ASSIGN(const auto type, JsonField<std::string>(json, where, "type"));
  if (type == "ByteLevel") return {};
  const nlohmann::json& parts = JsonMember(json, "decoders");
  if (type != "Sequence" || !parts.is_array()) {
    return Fail(Code::kInvalidArgument, "{}: decoder {} is not supported; known: ByteLevel", where,
                type);
  }
  std::size_t byte_levels = 0;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    AHA_ASSIGN(const auto part,
               JsonField<std::string>(parts[i], fmt::format("{}.decoders[{}]", where, i), "type"));
    if (part == "ByteLevel") ++byte_levels;
    if (part != "ByteLevel" && part != "Fuse") {
      return Fail(Code::kInvalidArgument,
                  "{}.decoders[{}]: decoder {} is not supported; known: ByteLevel, Fuse", where, i,
                  part);
    }
  }
  if (byte_levels == 1) return {};
  return Fail(Code::kInvalidArgument, "{}: must have one ByteLevel", where);
}

}  // namespace

// An added token that the vocabulary knows has the vocabulary's id; any other gets the next free
// one. `tokenizers` numbers them so whatever ids the file declares; a file that declares others is
// refused here, for its reader and `tokenizers` would not mean the same tokens.
Status Tokenizer::Rep::ReadAdded(const nlohmann::json& json) {
  if (json.is_null()) return {};
  if (!json.is_array()) return Fail(Code::kCorrupt, "added_tokens: must be an array");
  std::unordered_set<std::string> patterns;
  std::vector<AddedToken> raw, normalised;
  auto next_id = static_cast<std::int32_t>(model.vocab().size());
  for (std::size_t i = 0; i < json.size(); ++i) {
    const std::string where = fmt::format("added_tokens[{}]", i);
    AHA_ASSIGN(AddedToken token, ReadAddedToken(json[i], where));
    if (token.content.empty()) continue;
    const auto known = model.vocab().find(token.content);
    const std::int32_t id = known != model.vocab().end() ? known->second : next_id++;
    if (id != token.id) {
      return Fail(Code::kCorrupt,
                  "{}.id: \"{}\" has id {}, and Hugging Face tokenizers would give it {}", where,
                  token.content, token.id, id);
    }
    if (!added_ids.emplace(token.content, id).second) {
      return Fail(Code::kCorrupt, "{}.content: \"{}\" is added twice", where, token.content);
    }
    added.push_back(token);
    if (token.normalized) {
      AHA_ASSIGN(token.content, normalizer.Apply(token.content));
    }
    if (!patterns.insert((token.normalized ? "n" : "r") + token.content).second) {
      return Fail(Code::kCorrupt, "{}.content: \"{}\" is the same as another after normalisation",
                  where, token.content);
    }
    (token.normalized ? normalised : raw).push_back(std::move(token));
  }
  std::sort(added.begin(), added.end(), [](const auto& a, const auto& b) { return a.id < b.id; });
  before = AddedTokenFinder(std::move(raw));
  after = AddedTokenFinder(std::move(normalised));
  return {};
}

Status Tokenizer::Rep::FillEntries() {
  std::int32_t highest = -1;
  for (const auto& [token, id] : model.vocab())
    highest = std::max(highest, id);
  for (const AddedToken& token : added)
    highest = std::max(highest, token.id);
  if (highest < 0) return Fail(Code::kCorrupt, "model.vocab: is empty");
  entries.resize(static_cast<std::size_t>(highest) + 1);
  const auto fill = [&](std::int32_t id, const std::string& token, const std::string& spelt,
                        bool special) {
    auto bytes = FromByteLevel(spelt);
    entries[static_cast<std::size_t>(id)] = {token, bytes ? std::move(*bytes) : spelt, special};
  };
  for (const auto& [token, id] : model.vocab())
    fill(id, token, token, false);
  for (const AddedToken& token : added) {
    std::string spelt = token.content;
    if (token.normalized) {
      AHA_ASSIGN(spelt, normalizer.Apply(token.content));
    }
    if (token.id >= 0 && !entries[static_cast<std::size_t>(token.id)].token.empty() &&
        entries[static_cast<std::size_t>(token.id)].token != token.content) {
      return Fail(Code::kCorrupt, "added_tokens: \"{}\" and \"{}\" both have id {}", token.content,
                  entries[static_cast<std::size_t>(token.id)].token, token.id);
    }
    fill(token.id, token.content, spelt, token.special);
  }
  return {};
}

Result<Tokenizer> Tokenizer::Load(const std::filesystem::path& tokenizer_json) {
  AHA_ASSIGN(std::string text, ReadFile(tokenizer_json));
  return FromText(std::move(text), tokenizer_json.string());
}

Result<Tokenizer> Tokenizer::FromText(std::string text, std::string_view name) {
  AHA_ASSIGN(const nlohmann::json json, ParseStrictJson(text, name));
  const auto read = [&]() -> Result<Tokenizer> {
    if (!json.is_object()) return Fail(Code::kCorrupt, "must be a JSON object");
    for (const char* key : {"truncation", "padding"}) {
      if (!JsonMember(json, key).is_null()) {
        return Fail(Code::kInvalidArgument, "{}: is not supported; set it to null", key);
      }
    }
    auto rep = std::make_shared<Rep>();
    AHA_ASSIGN(rep->model, BpeModel::FromJson(JsonMember(json, "model"), "model"));
    AHA_ASSIGN(rep->normalizer,
               TextNormalizer::FromJson(JsonMember(json, "normalizer"), "normalizer"));
    AHA_ASSIGN(rep->pre_tokenizer,
               PreTokenizer::FromJson(JsonMember(json, "pre_tokenizer"), "pre_tokenizer"));
    AHA_ASSIGN(rep->post_processor,
               PostProcessor::FromJson(JsonMember(json, "post_processor"), "post_processor"));
    AHA_TRY(CheckDecoder(JsonMember(json, "decoder"), "decoder"));
    AHA_TRY(rep->ReadAdded(JsonMember(json, "added_tokens")));
    AHA_TRY(rep->FillEntries());
    rep->text = std::move(text);
    return Tokenizer(std::move(rep));
  };
  Result<Tokenizer> tokenizer = read();
  if (!tokenizer) return Within(tokenizer.error(), "{}", name);
  return tokenizer;
}

Status Tokenizer::Rep::EncodePlain(std::string_view plain,
                                   BpeModel::Scratch* scratch,
                                   std::vector<std::int32_t>* ids) const {
  std::string normal;
  if (!normalizer.changes_nothing()) {
    AHA_ASSIGN(normal, normalizer.Apply(plain));
    plain = normal;
  }
  std::vector<AddedTokenFinder::Segment> segments;
  after.Split(plain, &segments);
  std::vector<std::string_view> pieces;
  for (const auto& segment : segments) {
    if (segment.id != AddedTokenFinder::kPlain) {
      ids->push_back(segment.id);
      continue;
    }
    pieces.clear();
    std::deque<std::string> storage;
    AHA_TRY(pre_tokenizer.Split(segment.text, &pieces, &storage));
    for (const std::string_view piece : pieces)
      model.Encode(piece, scratch, ids);
  }
  return {};
}

Result<std::vector<std::int32_t>> Tokenizer::Encode(std::string_view utf8,
                                                    bool with_specials) const {
  if (utf8.size() >= static_cast<std::size_t>(std::numeric_limits<std::int32_t>::max())) {
    return Fail(Code::kInvalidArgument, "a text of {} bytes is too long to tokenize", utf8.size());
  }
  if (const auto bad = FirstInvalidUtf8(utf8)) {
    return Fail(Code::kInvalidArgument, "the text to tokenize is not UTF-8 at byte {}", *bad);
  }
  std::vector<std::int32_t> ids;
  if (with_specials) ids = rep_->post_processor.before;
  std::vector<AddedTokenFinder::Segment> segments;
  rep_->before.Split(utf8, &segments);
  BpeModel::Scratch scratch;
  for (const auto& segment : segments) {
    if (segment.id != AddedTokenFinder::kPlain) {
      ids.push_back(segment.id);
    } else {
      AHA_TRY(rep_->EncodePlain(segment.text, &scratch, &ids));
    }
  }
  if (with_specials) {
    const auto& last = rep_->post_processor.after;
    ids.insert(ids.end(), last.begin(), last.end());
  }
  return ids;
}

std::string Tokenizer::Decode(std::span<const std::int32_t> ids, bool skip_special) const {
  std::string bytes;
  for (const std::int32_t id : ids) {
    const Rep::Entry* entry = rep_->Find(id);
    if (entry != nullptr && !(skip_special && entry->special)) bytes += entry->bytes;
  }
  return TakeUtf8(bytes, true);
}

std::optional<std::int32_t> Tokenizer::IdOf(std::string_view token) const {
  for (const StringMap<std::int32_t>* ids : {&rep_->added_ids, &rep_->model.vocab()}) {
    const auto found = ids->find(token);
    if (found != ids->end()) return found->second;
  }
  return std::nullopt;
}

std::string_view Tokenizer::TokenOf(std::int32_t id) const {
  const Rep::Entry* entry = rep_->Find(id);
  return entry == nullptr ? std::string_view() : entry->token;
}

std::string_view Tokenizer::BytesOf(std::int32_t id) const {
  const Rep::Entry* entry = rep_->Find(id);
  return entry == nullptr ? std::string_view() : entry->bytes;
}

bool Tokenizer::IsSpecial(std::int32_t id) const {
  const Rep::Entry* entry = rep_->Find(id);
  return entry != nullptr && entry->special;
}

std::size_t Tokenizer::vocab_size() const {
  return rep_->entries.size();
}
std::span<const AddedToken> Tokenizer::added_tokens() const {
  return rep_->added;
}
const std::string& Tokenizer::text() const {
  return rep_->text;
}

std::string StreamDecoder::Push(std::int32_t id) {
  if (skip_special_ && tokenizer_.IsSpecial(id)) return {};
  pending_ += tokenizer_.BytesOf(id);
  return TakeUtf8(pending_, false);
}

std::string StreamDecoder::Finish() {
  return TakeUtf8(pending_, true);
}

}  // namespace aha::policy
