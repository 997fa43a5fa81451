#pragma once
/// The `pre_tokenizer` of a byte-level tokenizer.json: cuts a text into the pieces inside which BPE
/// merges. ByteLevel, Split, Digits, and a Sequence of these that ends with ByteLevel.

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/result.h"
#include "policy/tokenizer/split_regex.h"

namespace aha::policy {

/// What becomes of the matches of a split.
enum class SplitBehavior : std::uint8_t {
  kRemoved,
  kIsolated,
  kMergedWithPrevious,
  kMergedWithNext,
  kContiguous,
};

/// Immutable and thread-safe.
class PreTokenizer {
 public:
  /// kInvalidArgument names a component that is not supported, kCorrupt a malformed field.
  static Result<PreTokenizer> FromJson(const nlohmann::json& json, std::string_view where);

  /// Appends the pieces of `text` (valid UTF-8) to `pieces`: views into `text`, or into `storage`
  /// where a space was put before. Pieces are raw bytes, not yet spelt in the byte-level alphabet.
  Status Split(std::string_view text,
               std::vector<std::string_view>* pieces,
               std::deque<std::string>* storage) const;

 private:
  // Either one split, or (without a regex) a space put before each piece that starts with none.
  struct Step {
    std::vector<SplitRegex> regex;  // none or one
    SplitBehavior behavior = SplitBehavior::kIsolated;
    bool invert = false;
  };
  Status Add(const nlohmann::json& json, const std::string& where);
  Status AddByteLevel(const nlohmann::json& json, const std::string& where);
  Status AddDigits(const nlohmann::json& json, const std::string& where);
  Status AddSplit(const nlohmann::json& json, const std::string& where);

  std::vector<Step> steps_;
  bool byte_level_ = false;  // ByteLevel was met: nothing may follow
};

}  // namespace aha::policy
