#pragma once
/// Byte-pair encoding of one piece of text: bytes first, then the merge of lowest rank, again and
/// again, the leftmost of equals first (Sennrich et al. 2016, as Hugging Face `tokenizers` runs
/// it).

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/result.h"
#include "policy/tokenizer/model_reader.h"
#include "policy/tokenizer/token_table.h"
#include "policy/tokenizer/word_cache.h"

namespace aha::policy {

/// Finds values by std::string_view in maps keyed by std::string.
struct StringHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const {
    return std::hash<std::string_view>()(text);
  }
};
template <class T>
using StringMap = std::unordered_map<std::string, T, StringHash, std::equal_to<>>;

/// The `model` of a tokenizer.json. Immutable and thread-safe; scratch space is the caller's.
class BpeModel {
 public:
  /// Working memory of Encode, reused between calls by one thread, for one model.
  struct Scratch {
    struct Symbol {
      std::int32_t id, previous, next;
      bool dead;
    };
    struct Candidate {
      std::int32_t rank, position, merged;
    };
    WordCache cache;
    std::vector<Symbol> symbols;
    std::vector<Candidate> heap;
    std::string spelling;
  };

  /// `json` is the model's members; vocab and merges are read from `parts` instead.
  /// kInvalidArgument names an option that is not supported, kCorrupt a malformed field.
  static Result<BpeModel> FromJson(const nlohmann::json& json,
                                   const ModelParts& parts,
                                   std::string_view where);

  /// Appends the ids of `piece`, a piece of valid UTF-8. A byte that the vocabulary lacks becomes
  /// the unknown token, or nothing when there is none, as in `tokenizers`.
  void Encode(std::string_view piece, Scratch* scratch, std::vector<std::int32_t>* ids) const;

  /// Token to id, as spelt in the file.
  [[nodiscard]] const TokenTable& vocab() const { return vocab_; }

 private:
  struct Merge {
    std::int32_t rank = kNoMerge;
    std::int32_t merged = -1;
  };
  // A slot of the open-addressing table from a pair of ids to its merge; free when rank is
  // kNoMerge.
  struct Slot {
    std::uint64_t pair = 0;
    Merge merge;
  };
  static constexpr std::int32_t kNoMerge = INT32_MAX;

  Status ReadOptions(const nlohmann::json& json, std::string_view where);
  struct Ranked {
    std::uint64_t pair;
    std::int32_t merged;
  };
  Status ReadMerges(std::string_view json, std::string_view where);
  Status Resolve(MergeReader& reader, std::string_view where, std::vector<Ranked>* ranked) const;
  void IndexMerges(const std::vector<Ranked>& ranked);
  void FindBytes();
  [[nodiscard]] Merge Find(std::int32_t left, std::int32_t right) const;
  void EncodeAnew(std::string_view piece, Scratch* scratch, std::vector<std::int32_t>* ids) const;
  void MergeShort(std::string_view piece, std::vector<std::int32_t>* ids) const;
  void Spell(std::string_view piece, Scratch* scratch) const;
  void MergeAll(Scratch* scratch) const;

  TokenTable vocab_;
  std::vector<std::int32_t> byte_id_;
  std::vector<Slot> merges_;
  std::vector<std::uint64_t> may_merge_;  // a bit for each pair's hash: most pairs are no merge
  std::vector<Merge> byte_merges_;        // by two bytes
  bool every_byte_ = false;               // the vocabulary has all bytes that UTF-8 uses
  std::int32_t unknown_ = -1;
  bool fuse_unknown_ = false;
  bool ignore_merges_ = false;
};

}  // namespace aha::policy
