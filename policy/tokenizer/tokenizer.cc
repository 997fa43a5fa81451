#include "policy/tokenizer/tokenizer.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <mutex>
#include <unordered_set>

#include "base/whole_file.h"
#include "policy/checkpoint/strict_json.h"
#include "policy/tokenizer/bpe.h"
#include "policy/tokenizer/decode_table.h"
#include "policy/tokenizer/model_reader.h"
#include "policy/tokenizer/normalizer.h"
#include "policy/tokenizer/post_processor.h"
#include "policy/tokenizer/pre_tokenizer.h"
#include "policy/tokenizer/utf8.h"

namespace aha::policy {

namespace {

constexpr std::size_t kMostFileBytes = std::size_t{1} << 30U;

// Working memory that warms up with use: a call takes one and gives it back, so there are no more
// of them than calls at one time.
class ScratchPool {
 public:
  using Handle = std::unique_ptr<BpeModel::Scratch>;
  Handle Take() {
    const std::lock_guard lock(mutex_);
    if (free_.empty()) return std::make_unique<BpeModel::Scratch>();
    Handle scratch = std::move(free_.back());
    free_.pop_back();
    return scratch;
  }
  void Give(Handle scratch) {
    const std::lock_guard lock(mutex_);
    free_.push_back(std::move(scratch));
  }

 private:
  std::mutex mutex_;
  std::vector<Handle> free_;  // guarded by mutex_
};

}  // namespace

struct Tokenizer::Rep {
  std::string text;
  TextNormalizer normalizer;
  PreTokenizer pre_tokenizer;
  BpeModel model;
  PostProcessor post_processor;
  std::vector<AddedToken> added;           // by id
  StringMap<std::int32_t> added_ids;       // by content
  AddedTokenFinder before{{}}, after{{}};  // looked for before and after normalisation
  DecodeTable decoded;
  mutable ScratchPool scratches;

  Status ReadAdded(const nlohmann::json& json);
  Status FillBytes();
  Status EncodeText(std::string_view text,
                    BpeModel::Scratch* scratch,
                    std::vector<std::int32_t>* ids) const;
  Status EncodePlain(std::string_view text,
                     BpeModel::Scratch* scratch,
                     std::vector<std::int32_t>* ids) const;
  [[nodiscard]] const AddedToken* FindAdded(std::int32_t id) const {
    const auto found =
        std::lower_bound(added.begin(), added.end(), id,
                         [](const AddedToken& token, std::int32_t i) { return token.id < i; });
    return found != added.end() && found->id == id ? &*found : nullptr;
  }
  [[nodiscard]] bool Knows(std::int32_t id) const { return decoded.Knows(id); }
};

namespace {

Result<AddedToken> ReadAddedToken(const nlohmann::json& json, const std::string& where) {
  AddedToken token;
  AHA_ASSIGN(const auto id, JsonField<std::int64_t>(json, where, "id"));
  if (id < 0 || id > TokenTable::kMaxId) {
    return Fail(Code::kCorrupt, "{}.id: {} is not between 0 and {}", where, id, TokenTable::kMaxId);
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
    const std::int32_t known = model.vocab().Find(token.content);
    const std::int32_t id = known >= 0 ? known : next_id++;
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
      if (token.content.empty()) continue;
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

Status Tokenizer::Rep::FillBytes() {
  const TokenTable& vocab = model.vocab();
  const auto end =
      static_cast<std::size_t>(std::max(vocab.end_id(), added.empty() ? 0 : added.back().id + 1));
  if (end == 0) return Fail(Code::kCorrupt, "model.vocab: is empty");
  for (const AddedToken& token : added) {
    const auto other = vocab.TokenOf(token.id);
    if (other && *other != token.content) {
      return Fail(Code::kCorrupt, "added_tokens: \"{}\" and \"{}\" both have id {}", token.content,
                  *other, token.id);
    }
  }
  auto next_added = added.begin();
  std::string bytes;
  for (std::size_t at = 0; at < end; ++at) {
    const auto id = static_cast<std::int32_t>(at);
    bytes.clear();
    bool special = false;
    if (next_added != added.end() && next_added->id == id) {
      std::string spelt = next_added->content;
      if (next_added->normalized) {
        AHA_ASSIGN(spelt, normalizer.Apply(spelt));
      }
      if (!AppendFromByteLevel(spelt, bytes)) bytes += spelt;
      special = next_added->special;
      ++next_added;
    } else if (const auto token = vocab.TokenOf(id)) {
      if (!AppendFromByteLevel(*token, bytes)) bytes += *token;
    }
    if (!decoded.Add(bytes, special)) {
      return Fail(Code::kCorrupt, "the tokens up to id {} stand for more than 1 GiB of text", at);
    }
  }
  return {};
}

Result<Tokenizer> Tokenizer::Load(const std::filesystem::path& tokenizer_json) {
  AHA_ASSIGN(std::string text, ReadFile(tokenizer_json));
  return FromText(std::move(text), tokenizer_json.string());
}

Result<Tokenizer> Tokenizer::FromText(std::string text, std::string_view name) {
  const auto read = [&]() -> Result<Tokenizer> {
    if (text.size() > kMostFileBytes) {
      return Fail(Code::kInvalidArgument, "has {} bytes; more than {} are not read", text.size(),
                  kMostFileBytes);
    }
    if (const auto bad = FirstInvalidUtf8(text))
      return Fail(Code::kCorrupt, "is not UTF-8 at byte {}", *bad);
    AHA_ASSIGN(const ModelParts parts, CutModelParts(text));
    AHA_ASSIGN(const nlohmann::json json, ParseStrictJson(parts.rest, ""));
    if (!json.is_object()) return Fail(Code::kCorrupt, "must be a JSON object");
    for (const char* key : {"truncation", "padding"}) {
      if (!JsonMember(json, key).is_null()) {
        return Fail(Code::kInvalidArgument, "{}: is not supported; set it to null", key);
      }
    }
    auto rep = std::make_shared<Rep>();
    AHA_ASSIGN(rep->model, BpeModel::FromJson(JsonMember(json, "model"), parts, "model"));
    AHA_ASSIGN(rep->normalizer,
               TextNormalizer::FromJson(JsonMember(json, "normalizer"), "normalizer"));
    AHA_ASSIGN(rep->pre_tokenizer,
               PreTokenizer::FromJson(JsonMember(json, "pre_tokenizer"), "pre_tokenizer"));
    AHA_ASSIGN(rep->post_processor,
               PostProcessor::FromJson(JsonMember(json, "post_processor"), "post_processor"));
    AHA_TRY(CheckDecoder(JsonMember(json, "decoder"), "decoder"));
    AHA_TRY(rep->ReadAdded(JsonMember(json, "added_tokens")));
    AHA_TRY(rep->FillBytes());
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
  AHA_ASSIGN(plain, normalizer.Apply(plain, &normal));
  std::vector<AddedTokenFinder::Segment> segments;
  after.Split(plain, &segments);
  const PreTokenizer::Sink encode = [&](std::span<const std::string_view> pieces) {
    for (const std::string_view piece : pieces)
      model.Encode(piece, scratch, ids);
  };
  for (const auto& segment : segments) {
    if (segment.id != AddedTokenFinder::kPlain) {
      ids->push_back(segment.id);
    } else {
      AHA_TRY(pre_tokenizer.Split(segment.text, encode));
    }
  }
  return {};
}

Status Tokenizer::Rep::EncodeText(std::string_view utf8,
                                  BpeModel::Scratch* scratch,
                                  std::vector<std::int32_t>* ids) const {
  std::vector<AddedTokenFinder::Segment> segments;
  before.Split(utf8, &segments);
  for (const auto& segment : segments) {
    if (segment.id != AddedTokenFinder::kPlain) {
      ids->push_back(segment.id);
    } else {
      AHA_TRY(EncodePlain(segment.text, scratch, ids));
    }
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
  ids.reserve(utf8.size() / 4 + 16);
  if (with_specials) ids = rep_->post_processor.before;
  auto scratch = rep_->scratches.Take();
  const Status done = rep_->EncodeText(utf8, scratch.get(), &ids);
  rep_->scratches.Give(std::move(scratch));
  if (!done) return tl::unexpected<Error>(done.error());
  if (with_specials) {
    const auto& last = rep_->post_processor.after;
    ids.insert(ids.end(), last.begin(), last.end());
  }
  return ids;
}

std::string Tokenizer::Decode(std::span<const std::int32_t> ids, bool skip_special) const {
  return rep_->decoded.Decode(ids, skip_special);
}

std::optional<std::int32_t> Tokenizer::IdOf(std::string_view token) const {
  const auto found = rep_->added_ids.find(token);
  if (found != rep_->added_ids.end()) return found->second;
  const std::int32_t id = rep_->model.vocab().Find(token);
  return id >= 0 ? std::optional(id) : std::nullopt;
}

std::string_view Tokenizer::TokenOf(std::int32_t id) const {
  if (const AddedToken* added = rep_->FindAdded(id)) return added->content;
  return rep_->model.vocab().TokenOf(id).value_or(std::string_view());
}

std::string_view Tokenizer::BytesOf(std::int32_t id) const {
  return rep_->Knows(id) ? rep_->decoded.BytesOf(id) : std::string_view();
}

bool Tokenizer::IsSpecial(std::int32_t id) const {
  return rep_->Knows(id) && rep_->decoded.IsSpecial(id);
}

std::size_t Tokenizer::vocab_size() const {
  return rep_->decoded.size();
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
