#pragma once
/// Reads the two big members of a tokenizer.json, `model.vocab` and `model.merges`, straight from
/// its text: a JSON tree of a hundred thousand tokens takes longer to build than a model to load.

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "policy/tokenizer/token_table.h"

namespace aha::policy {

/// Where a member's value stands in the file; empty when the file has no such member.
struct ModelParts {
  std::string_view vocab, merges;
  std::string rest;  ///< the file's text with null in their places
};

/// Finds the two values. A vocab that is no object or merges that are no array stay in `rest`.
/// kCorrupt when the text is no JSON as far as it is looked at; the rest is for a JSON parser.
Result<ModelParts> CutModelParts(std::string_view text);

/// Reads the object of tokens and ids. kCorrupt names `where` and the token.
Result<TokenTable> ReadVocab(std::string_view json, std::string_view where);

/// Walks over the array of merges: ["a", "b"], or "a b" in the older form, in which lines of
/// "#version" are comments.
class MergeReader {
 public:
  MergeReader(std::string_view json, std::string_view where) : text_(json), where_(where) {}

  struct Merge {
    std::string_view left, right;  ///< valid until the next call
    std::size_t index = 0;         ///< in the array
  };
  /// The next one into `merge`; false at the end. kCorrupt names `where` and the index.
  Result<bool> Next(Merge* merge);

 private:
  Result<bool> Pair(Merge* merge);
  Result<bool> Line(std::string_view line, Merge* merge);

  std::string_view text_;
  std::string_view where_;
  std::size_t at_ = 0;
  std::size_t index_ = 0;
  bool begun_ = false;
  std::string left_, right_;  // unescaped, where the file has escapes
};

}  // namespace aha::policy
