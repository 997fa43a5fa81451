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
  /// Ids of 2^22 and above are refused: they would make a small file ask for gigabytes.
  static constexpr std::int64_t kMaxId = (std::int64_t{1} << 22U) - 1;

  /// Working memory of Encode, reused between calls by one thread.
  struct Scratch {
    struct Symbol {
      std::int32_t id, previous, next;
      bool dead;
    };
    struct Candidate {
      std::int32_t rank, position, merged;
    };
    std::vector<Symbol> symbols;
    std::vector<Candidate> heap;
  };

  /// kInvalidArgument names an option that is not supported, kCorrupt a malformed field.
  static Result<BpeModel> FromJson(const nlohmann::json& json, std::string_view where);

  /// Appends the ids of `piece`, raw bytes. A byte that the vocabulary lacks becomes the unknown
  /// token, or nothing when there is none, as in `tokenizers`.
  void Encode(std::string_view piece, Scratch* scratch, std::vector<std::int32_t>* ids) const;

  /// Token to id, as spelt in the file.
  [[nodiscard]] const StringMap<std::int32_t>& vocab() const { return vocab_; }

 private:
  // A slot of the open-addressing table from a pair of ids to its merge; empty when rank < 0.
  struct Merge {
    std::uint64_t pair = 0;
    std::int32_t rank = -1;
    std::int32_t merged = -1;
  };

  Status ReadOptions(const nlohmann::json& json, std::string_view where);
  Status ReadVocab(const nlohmann::json& json, std::string_view where);
  Status ReadMerges(const nlohmann::json& json, std::string_view where);
  Status AddMerge(const std::string& left,
                  const std::string& right,
                  std::int32_t rank,
                  const std::string& where);
  [[nodiscard]] const Merge* Find(std::int32_t left, std::int32_t right) const;
  void Spell(std::string_view piece, Scratch* scratch) const;
  void MergeAll(Scratch* scratch) const;

  StringMap<std::int32_t> vocab_;
  StringMap<std::int32_t> words_;  // by raw bytes; filled for ignore_merges alone
  std::vector<std::int32_t> byte_id_;
  std::vector<Merge> merges_;
  std::int32_t unknown_ = -1;
  bool fuse_unknown_ = false;
  bool ignore_merges_ = false;
};

}  // namespace aha::policy
