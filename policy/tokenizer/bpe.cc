#include "policy/tokenizer/bpe.h"

#include <algorithm>
#include <array>
#include <bit>

#include "policy/checkpoint/strict_json.h"
#include "policy/tokenizer/utf8.h"

namespace aha::policy {
namespace {

// Up to here the lowest rank is looked for pair by pair; beyond, a heap keeps long words from being
// quadratic.
constexpr std::size_t kShortPiece = 96;

std::uint64_t PairOf(std::int32_t left, std::int32_t right) {
  return (static_cast<std::uint64_t>(static_cast<std::uint32_t>(left)) << 32U) |
         static_cast<std::uint32_t>(right);
}

std::uint64_t HashOf(std::uint64_t pair) {
  const std::uint64_t mixed = (pair ^ (pair >> 29U)) * 0x9E3779B97F4A7C15ULL;
  return mixed ^ (mixed >> 32U);
}

// Heap order: std::push_heap keeps the greatest first, so the lowest rank, then the leftmost, is
// it.
bool Later(const BpeModel::Scratch::Candidate& a, const BpeModel::Scratch::Candidate& b) {
  return a.rank != b.rank ? a.rank > b.rank : a.position > b.position;
}

}  // namespace

Result<BpeModel> BpeModel::FromJson(const nlohmann::json& json,
                                    const ModelParts& parts,
                                    std::string_view where) {
  AHA_ASSIGN(const auto type, JsonFieldOr<std::string>(json, where, "type", "BPE"));
  if (type != "BPE") {
    return Fail(Code::kInvalidArgument, "{}.type: {} is not supported; known: BPE", where, type);
  }
  if (parts.vocab.empty())
    return Fail(Code::kCorrupt, "{}.vocab: must be an object of tokens and ids", where);
  if (parts.merges.empty())
    return Fail(Code::kCorrupt, "{}.merges: must be an array of pairs", where);
  BpeModel model;
  AHA_ASSIGN(model.vocab_, ReadVocab(parts.vocab, fmt::format("{}.vocab", where)));
  AHA_TRY(model.ReadOptions(json, where));
  AHA_TRY(model.ReadMerges(parts.merges, fmt::format("{}.merges", where)));
  model.FindBytes();
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
    unknown_ = vocab_.Find(unknown);
    if (unknown_ < 0) {
      return Fail(Code::kCorrupt, "{}.unk_token: \"{}\" is not in the vocabulary", where, unknown);
    }
  }
  return {};
}

// Ids of every merge, in order of rank. Many at a time, so that the look-ups wait for memory
// together.
Status BpeModel::Resolve(MergeReader& reader,
                         std::string_view where,
                         std::vector<Ranked>* ranked) const {
  struct Pending {
    std::string joined;
    std::array<std::string_view, 3> tokens;  // left, right, joined
    std::array<std::size_t, 3> hashes;
    std::size_t index;
  };
  std::array<Pending, 32> pending;
  MergeReader::Merge merge;
  for (bool more = true; more;) {
    std::size_t count = 0;
    for (; count < pending.size(); ++count) {
      AHA_ASSIGN(more, reader.Next(&merge));
      if (!more) break;
      Pending& p = pending[count];
      p.index = merge.index;
      p.joined.assign(merge.left);
      p.joined += merge.right;
      const std::string_view joined(p.joined);
      p.tokens = {joined.substr(0, merge.left.size()), joined.substr(merge.left.size()), joined};
      for (std::size_t i = 0; i < p.tokens.size(); ++i) {
        p.hashes[i] = TokenTable::HashOf(p.tokens[i]);
        vocab_.Prefetch(p.hashes[i]);
      }
    }
    for (const Pending& p : std::span(pending).first(count)) {
      std::array<std::int32_t, 3> ids;
      for (std::size_t i = 0; i < ids.size(); ++i) {
        ids[i] = vocab_.Find(p.tokens[i], p.hashes[i]);
        if (ids[i] < 0)
          return Fail(Code::kCorrupt, "{}[{}]: \"{}\" is not in the vocabulary", where, p.index,
                      p.tokens[i]);
      }
      ranked->push_back({PairOf(ids[0], ids[1]), ids[2]});
    }
  }
  return {};
}

Status BpeModel::ReadMerges(std::string_view json, std::string_view where) {
  std::vector<Ranked> ranked;
  ranked.reserve(json.size() / 16);
  MergeReader reader(json, where);
  AHA_TRY(Resolve(reader, where, &ranked));
  IndexMerges(ranked);
  return {};
}

void BpeModel::IndexMerges(const std::vector<Ranked>& ranked) {
  merges_.assign(std::bit_ceil(2 * ranked.size() + 2), Slot());
  may_merge_.assign(std::max<std::size_t>(1, std::bit_ceil(ranked.size()) / 4), 0);
  const std::size_t mask = merges_.size() - 1;
  for (std::size_t rank = 0; rank < ranked.size(); ++rank) {
    const std::uint64_t hash = HashOf(ranked[rank].pair);
    std::size_t slot = hash & mask;
    // A pair listed twice has its last rank, as in `tokenizers`.
    while (merges_[slot].merge.rank != kNoMerge && merges_[slot].pair != ranked[rank].pair)
      slot = (slot + 1) & mask;
    merges_[slot] = {ranked[rank].pair, {static_cast<std::int32_t>(rank), ranked[rank].merged}};
    may_merge_[(hash >> 38U) & (may_merge_.size() - 1)] |= std::uint64_t{1}
                                                           << ((hash >> 32U) & 63U);
  }
}

void BpeModel::FindBytes() {
  byte_id_.assign(256, -1);
  every_byte_ = true;
  for (int byte = 0; byte < 256; ++byte) {
    std::string token;
    AppendUtf8(ByteLevelCharacter(static_cast<std::uint8_t>(byte)), token);
    byte_id_[static_cast<std::size_t>(byte)] = vocab_.Find(token);
    const bool in_utf8 = byte != 0xC0 && byte != 0xC1 && byte <= 0xF4;
    every_byte_ = every_byte_ && (!in_utf8 || byte_id_[static_cast<std::size_t>(byte)] >= 0);
  }
  if (!every_byte_) return;
  byte_merges_.resize(std::size_t{256} * 256);
  for (std::size_t pair = 0; pair < byte_merges_.size(); ++pair) {
    byte_merges_[pair] = Find(byte_id_[pair >> 8U], byte_id_[pair & 0xFFU]);
  }
}

BpeModel::Merge BpeModel::Find(std::int32_t left, std::int32_t right) const {
  const std::uint64_t pair = PairOf(left, right);
  const std::uint64_t hash = HashOf(pair);
  const std::uint64_t word = may_merge_[(hash >> 38U) & (may_merge_.size() - 1)];
  if (((word >> ((hash >> 32U) & 63U)) & 1U) == 0) return {};
  const std::size_t mask = merges_.size() - 1;
  std::size_t slot = hash & mask;
  while (merges_[slot].merge.rank != kNoMerge) {
    if (merges_[slot].pair == pair) return merges_[slot].merge;
    slot = (slot + 1) & mask;
  }
  return {};
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
    const Merge merge = Find(symbols[i].id, symbols[i + 1].id);
    if (merge.rank != kNoMerge)
      heap.push_back({merge.rank, static_cast<std::int32_t>(i), merge.merged});
  }
  std::make_heap(heap.begin(), heap.end(), Later);
  const auto consider = [&](std::int32_t left, std::int32_t right) {
    const Merge merge = Find(symbol(left).id, symbol(right).id);
    if (merge.rank == kNoMerge) return;
    heap.push_back({merge.rank, left, merge.merged});
    std::push_heap(heap.begin(), heap.end(), Later);
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
    const Merge merge = Find(left.id, right.id);
    if (merge.rank == kNoMerge || merge.merged != best.merged) continue;
    left.id = best.merged;
    left.next = right.next;
    right.dead = true;
    if (left.next >= 0) symbol(left.next).previous = best.position;
    if (left.previous >= 0) consider(left.previous, best.position);
    if (left.next >= 0) consider(best.position, left.next);
  }
}

// The same for a short piece whose bytes are all in the vocabulary, in three small arrays.
void BpeModel::MergeShort(std::string_view piece, std::vector<std::int32_t>* ids) const {
  std::array<std::int32_t, kShortPiece> symbols;
  std::array<std::int32_t, kShortPiece> ranks;  // of the pair that starts here
  std::array<std::int32_t, kShortPiece> merged;
  const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(piece[i]); };
  const auto set = [&](std::size_t i, Merge merge) {
    ranks[i] = merge.rank;
    merged[i] = merge.merged;
  };
  std::size_t pairs = piece.size() - 1;
  for (std::size_t i = 0; i < pairs; ++i) {
    symbols[i] = byte_id_[byte(i)];
    set(i, byte_merges_[(std::size_t{byte(i)} << 8U) | byte(i + 1)]);
  }
  symbols[pairs] = byte_id_[byte(pairs)];
  while (pairs > 0) {
    std::int32_t lowest = kNoMerge;
    std::size_t at = 0;
    for (std::size_t i = 0; i < pairs; ++i) {
      if (ranks[i] < lowest) {
        lowest = ranks[i];
        at = i;
      }
    }
    if (lowest == kNoMerge) break;
    symbols[at] = merged[at];
    --pairs;
    for (std::size_t i = at + 1; i <= pairs; ++i)
      symbols[i] = symbols[i + 1];
    for (std::size_t i = at; i < pairs; ++i) {
      ranks[i] = ranks[i + 1];
      merged[i] = merged[i + 1];
    }
    if (at > 0) set(at - 1, Find(symbols[at - 1], symbols[at]));
    if (at < pairs) set(at, Find(symbols[at], symbols[at + 1]));
  }
  ids->insert(ids->end(), symbols.begin(),
              symbols.begin() + static_cast<std::ptrdiff_t>(pairs) + 1);
}

void BpeModel::EncodeAnew(std::string_view piece,
                          Scratch* scratch,
                          std::vector<std::int32_t>* ids) const {
  if (ignore_merges_) {
    scratch->spelling.clear();
    for (const char byte : piece)
      AppendUtf8(ByteLevelCharacter(static_cast<std::uint8_t>(byte)), scratch->spelling);
    const std::int32_t whole = vocab_.Find(scratch->spelling);
    if (whole >= 0) {
      ids->push_back(whole);
      return;
    }
  }
  if (every_byte_ && piece.size() <= kShortPiece) return MergeShort(piece, ids);
  Spell(piece, scratch);
  MergeAll(scratch);
  for (const Scratch::Symbol& symbol : scratch->symbols) {
    if (!symbol.dead) ids->push_back(symbol.id);
  }
}

void BpeModel::Encode(std::string_view piece,
                      Scratch* scratch,
                      std::vector<std::int32_t>* ids) const {
  if (piece.size() == 1 && every_byte_) {
    ids->push_back(byte_id_[static_cast<std::uint8_t>(piece[0])]);
    return;
  }
  if (piece.empty() || piece.size() > WordCache::kMostBytes) return EncodeAnew(piece, scratch, ids);
  const WordCache::Key key = WordCache::KeyOf(piece);
  const auto known = scratch->cache.Find(key);
  if (known.size() == 1) {
    ids->push_back(known[0]);
    return;
  }
  if (!known.empty()) {
    ids->insert(ids->end(), known.begin(), known.end());
    return;
  }
  const std::size_t before = ids->size();
  EncodeAnew(piece, scratch, ids);
  const std::size_t count = ids->size() - before;
  if (count >= 1 && count <= WordCache::kMostIds)
    scratch->cache.Put(key, std::span(*ids).subspan(before));
}

}  // namespace aha::policy
