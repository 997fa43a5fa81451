#pragma once
/// The `pre_tokenizer` of a byte-level tokenizer.json: cuts a text into the pieces inside which BPE
/// merges. ByteLevel, Split, Digits, and a Sequence of these that ends with ByteLevel.

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/result.h"
#include "policy/tokenizer/fast_split.h"
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
  /// Hears pieces in order, many at a time. They are views into the text, or into storage that
  /// lives until the sink returns.
  using Sink = std::function<void(std::span<const std::string_view>)>;

  /// kInvalidArgument names a component that is not supported, kCorrupt a malformed field.
  static Result<PreTokenizer> FromJson(const nlohmann::json& json, std::string_view where);

  /// Cuts `text` (valid UTF-8). Pieces are raw bytes, not yet spelt in the byte-level alphabet.
  Status Split(std::string_view text, const Sink& sink) const;

 private:
  // What one component does: cuts by matches of a matcher or a regex, or (with neither) puts a
  // space before each piece that starts with none.
  struct Step {
    FastSplit fast = nullptr;
    std::vector<SplitRegex> regex;  // none or one
    SplitBehavior behavior = SplitBehavior::kIsolated;
    bool invert = false;
  };
  class Walk;

  Status Add(const nlohmann::json& json, const std::string& where, int depth);
  Status AddByteLevel(const nlohmann::json& json, const std::string& where);
  Status AddDigits(const nlohmann::json& json, const std::string& where);
  Status AddSplit(const nlohmann::json& json, const std::string& where);
  Status AddPattern(std::string_view pattern, SplitBehavior behavior, bool invert);

  std::vector<Step> steps_;
  bool byte_level_ = false;  // ByteLevel was met: nothing may follow
};

}  // namespace aha::policy
