#pragma once
/// Hand-written matchers for the regular expressions that nearly every byte-level tokenizer uses.
/// They find what the expression finds, at many times the speed of a general engine and without
/// backtracking; any other expression goes to SplitRegex. A test holds the two together.

#include <cstddef>
#include <span>
#include <string_view>

namespace aha::policy {

struct MatchRange {
  std::size_t begin, end;
};

/// Writes the matches of one expression in `text` (valid UTF-8) from byte `from` on, in order,
/// until `out` is full or the text ends; how many. Continue from the end of the last one.
using FastSplit = std::size_t (*)(std::string_view text,
                                  std::size_t from,
                                  std::span<MatchRange> out);

/// The matcher for `pattern`, recognised by its exact text; null when there is none.
FastSplit FindFastSplit(std::string_view pattern);

/// The expressions that have a matcher.
std::span<const std::string_view> FastPatterns();

/// GPT-2's, which the ByteLevel pre-tokenizer stands for.
inline constexpr std::string_view kGpt2Pattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
/// What Digits looks for.
inline constexpr std::string_view kNumberPattern = R"(\p{N})";

}  // namespace aha::policy
