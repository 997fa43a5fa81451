#include "policy/tokenizer/bpe.h"

#include <algorithm>
#include <bit>
#include <unordered_set>

#include "policy/checkpoint/strict_json.h"
#include "policy/tokenizer/utf8.h"

namespace aha::policy {
namespace {

std::uint64_t PairOf(std::int32_t left, std::int32_t right) {
  return (static_cast<std::uint64_t>(static_cast<std::uint32_t>(left)) << 32U) |
         static_cast<std::uint32_t>(right);
}

std::size_t SlotOf(std::uint64_t pair, std::size_t slots) {
  const std::uint64_t mixed = (pair ^ (pair >> 29U)) * 0x9E3779B97F4A7C15ULL;
  return (mixed >> 20U) & (slots - 1);
}

// Heap order: std::push_heap keeps the greatest first, so the lowest rank, then the leftmost, is
// it.
bool Later(const BpeModel::Scratch::Candidate& a, const BpeModel::Scratch::Candidate& b) {
  return a.rank != b.rank ? a.rank > b.rank : a.position > b.position;
}

}  // namespace

Result<BpeModel> BpeModel::FromJson(const nlohmann::json& json, std::string_view where) {
  AHA_ASSIGN(const auto type, JsonFieldOr<std::string>(json, where, "type", "BPE"));
  if (type != "BPE") {
    return Fail(Code::kInvalidArgument, "{}.type: {} is not supported; known: BPE", where, type);
  }
  BpeModel model;
  AHA_TRY(model.ReadVocab(JsonMember(json, "vocab"), fmt::format("{}.vocab", where)));
  AHA_TRY(model.ReadOptions(json, where));
  AHA_TRY(model.ReadMerges(JsonMember(json, "merges"), fmt::format("{}.merges", where)));
  return model;
}

Status BpeModel::ReadOptions(const nlohmann::json& json, std::string_view where) {
  for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    AHA_ASSIGN(const auto affix, JsonFieldOr<std::string>(json, where, key, ""));
    if (!affix.empty()) return Fail(Code::kInvalidArgument, "{}.{}: is not supported", where, key);
  }
  AHA_ASSIGN(const bool byte_fallback, JsonFieldOr<bool>(json, where, "byte_fallback", false));
  if (byte_fallback)
    return Fail(Code::kInvalidArgument, "{}.byte_fallback: is not supported", where);
  const nlohmann::json& dropout = JsonMember(json, "dropout");
  if (!dropout.is_null() && !(dropout.is_number() && dropout.get<double>() == 0.0)) {
    return Fail(Code::kInvalidArgument, "{}.dropout: is not supported", where);
  }
  AHA_ASSIGN(ignore_merges_, JsonFieldOr<bool>(json, where, "ignore_merges", false));
  AHA_ASSIGN(fuse_unknown_, JsonFieldOr<bool>(json, where, "fuse_unk", false));
  if (!JsonMember(json, "unk_token").is_null()) {
    AHA_ASSIGN(const auto unknown, JsonField<std::string>(json, where, "unk_token"));
    const auto found = vocab_.find(unknown);
    if (found == vocab_.end()) {
      return Fail(Code::kCorrupt, "{}.unk_token: \"{}\" is not in the vocabulary", where, unknown);
    }
    unknown_ = found->second;
  }
  if (ignore_merges_) {
    for (const auto& [token, id] : vocab_) {
      if (auto bytes = FromByteLevel(token)) words_.emplace(std::move(*bytes), id);
    }
  }
  return {};
}

Status BpeModel::ReadVocab(const nlohmann::json& json, std::string_view where) {
  if (!json.is_object())
    return Fail(Code::kCorrupt, "{}: must be an object of tokens and ids", where);
  std::unordered_set<std::int32_t> ids;
  vocab_.reserve(json.size());
  ids.reserve(json.size());
  for (const auto& [token, value] : json.items()) {
    AHA_ASSIGN(const auto id,
               JsonValue<std::int64_t>(value, fmt::format("{}[\"{}\"]", where, token)));
    if (id < 0 || id > kMaxId) {
      return Fail(Code::kCorrupt, "{}[\"{}\"]: id {} is not between 0 and {}", where, token, id,
                  kMaxId);
    }
    if (!ids.insert(static_cast<std::int32_t>(id)).second) {
      return Fail(Code::kCorrupt, "{}[\"{}\"]: another token has id {} too", where, token, id);
    }
    vocab_.emplace(token, static_cast<std::int32_t>(id));
  }
  byte_id_.assign(256, -1);
  for (int byte = 0; byte < 256; ++byte) {
    std::string token;
    AppendUtf8(ByteLevelCharacter(static_cast<std::uint8_t>(byte)), token);
    const auto found = vocab_.find(token);
    if (found != vocab_.end()) byte_id_[static_cast<std::size_t>(byte)] = found->second;
  }
  return {};
}

Status BpeModel::ReadMerges(const nlohmann::json& json, std::string_view where) {
  if (!json.is_array()) return Fail(Code::kCorrupt, "{}: must be an array of pairs", where);
  merges_.assign(std::bit_ceil(2 * json.size() + 2), Merge());
  std::int32_t rank = 0;
  for (std::size_t i = 0; i < json.size(); ++i) {
    const nlohmann::json& entry = json[i];
    const std::string at = fmt::format("{}[{}]", where, i);
    if (entry.is_string()) {  // the older form, in which lines of "#version" are comments
      const auto& line = entry.get_ref<const std::string&>();
      if (line.starts_with("#version")) continue;
      const std::size_t space = line.find(' ');
      if (space == std::string::npos || line.find(' ', space + 1) != std::string::npos) {
        return Fail(Code::kCorrupt, "{}: \"{}\" is not two tokens with a space between", at, line);
      }
      AHA_TRY(AddMerge(line.substr(0, space), line.substr(space + 1), rank++, at));
    } else if (entry.is_array() && entry.size() == 2 && entry[0].is_string() &&
               entry[1].is_string()) {
      AHA_TRY(AddMerge(entry[0].get<std::string>(), entry[1].get<std::string>(), rank++, at));
    } else {
      return Fail(Code::kCorrupt, "{}: must be \"a b\" or [\"a\", \"b\"]", at);
    }
  }
  return {};
}

Status BpeModel::AddMerge(const std::string& left,
                          const std::string& right,
                          std::int32_t rank,
                          const std::string& where) {
  std::int32_t ids[3];
  const std::string tokens[3] = {left, right, left + right};
  for (int i = 0; i < 3; ++i) {
    const auto found = vocab_.find(tokens[i]);
    if (found == vocab_.end()) {
      return Fail(Code::kCorrupt, "{}: \"{}\" is not in the vocabulary", where, tokens[i]);
    }
    ids[i] = found->second;
  }
  const std::uint64_t pair = PairOf(ids[0], ids[1]);
  std::size_t slot = SlotOf(pair, merges_.size());
  // A pair listed twice has its last rank, as in `tokenizers`.
  while (merges_[slot].rank >= 0 && merges_[slot].pair != pair)
    slot = (slot + 1) & (merges_.size() - 1);
  merges_[slot] = {pair, rank, ids[2]};
  return {};
}

const BpeModel::Merge* BpeModel::Find(std::int32_t left, std::int32_t right) const {
  const std::uint64_t pair = PairOf(left, right);
  std::size_t slot = SlotOf(pair, merges_.size());
  while (merges_[slot].rank >= 0) {
    if (merges_[slot].pair == pair) return &merges_[slot];
    slot = (slot + 1) & (merges_.size() - 1);
  }
  return nullptr;
}

void BpeModel::Spell(std::string_view piece, Scratch* scratch) const {
  auto& symbols = scratch->symbols;
  symbols.clear();
  bool last_unknown = false;
  for (const char byte : piece) {
    std::int32_t id = byte_id_[static_cast<std::uint8_t>(byte)];
    const bool unknown = id < 0;
    if (unknown) {
      id = unknown_;
      // Without an unknown token the byte is passed over, and what surrounds it comes together.
      if (id < 0 || (last_unknown && fuse_unknown_)) continue;
    }
    last_unknown = unknown;
    const auto at = static_cast<std::int32_t>(symbols.size());
    symbols.push_back({id, at - 1, at + 1, false});
  }
  if (!symbols.empty()) symbols.back().next = -1;
}

void BpeModel::MergeAll(Scratch* scratch) const {
  auto& symbols = scratch->symbols;
  auto& heap = scratch->heap;
  const auto symbol = [&](std::int32_t at) -> Scratch::Symbol& {
    return symbols[static_cast<std::size_t>(at)];
  };
  heap.clear();
  for (std::size_t i = 0; i + 1 < symbols.size(); ++i) {
    if (const Merge* merge = Find(symbols[i].id, symbols[i + 1].id)) {
      heap.push_back({merge->rank, static_cast<std::int32_t>(i), merge->merged});
    }
  }
  std::make_heap(heap.begin(), heap.end(), Later);
  const auto consider = [&](std::int32_t left, std::int32_t right) {
    if (const Merge* merge = Find(symbol(left).id, symbol(right).id)) {
      heap.push_back({merge->rank, left, merge->merged});
      std::push_heap(heap.begin(), heap.end(), Later);
    }
  };
  while (!heap.empty()) {
    const Scratch::Candidate best = heap.front();
    std::pop_heap(heap.begin(), heap.end(), Later);
    heap.pop_back();
    Scratch::Symbol& left = symbol(best.position);
    if (left.dead || left.next < 0) continue;
    Scratch::Symbol& right = symbol(left.next);
    // Expired unless the two still merge into the same token; by its id alone, as `tokenizers`
    // asks.
    const Merge* merge = Find(left.id, right.id);
    if (merge == nullptr || merge->merged != best.merged) continue;
    left.id = best.merged;
    left.next = right.next;
    right.dead = true;
    if (left.next >= 0) symbol(left.next).previous = best.position;
    if (left.previous >= 0) consider(left.previous, best.position);
    if (left.next >= 0) consider(best.position, left.next);
  }
}

void BpeModel::Encode(std::string_view piece,
                      Scratch* scratch,
                      std::vector<std::int32_t>* ids) const {
  if (ignore_merges_) {
    const auto found = words_.find(piece);
    if (found != words_.end()) {
      ids->push_back(found->second);
      return;
    }
  }
  Spell(piece, scratch);
  MergeAll(scratch);
  for (const Scratch::Symbol& symbol : scratch->symbols) {
    if (!symbol.dead) ids->push_back(symbol.id);
  }
}

}  // namespace aha::policy
