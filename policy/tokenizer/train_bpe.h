#pragma once
/// Trains a byte-level BPE tokenizer and writes it as a tokenizer.json.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace aha::policy {

/// Words, numbers of up to three digits, runs of signs, white space: Llama 3's pattern.
inline constexpr std::string_view kWordPattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

/// A token that BPE never sees: cut out of the documents before training, and of texts later.
struct AddedTokenSpec {
  std::string name;
  bool special = false;  ///< left out by decoders that skip special tokens; tags must not be
};

struct TrainOptions {
  std::int32_t vocab_size = 1000;              ///< added tokens, 256 bytes and merges together
  std::vector<AddedTokenSpec> added_tokens{};  ///< take the ids from 0 on, in this order
  std::string pattern{kWordPattern};           ///< cuts texts into pieces, inside which BPE merges
};

/// The text of a tokenizer.json: added tokens first, then the 256 bytes (in the order of their
/// characters in the byte-level alphabet), then merges from the most frequent pair on, ties to the
/// lower pair of ids. A pure function of its arguments; the order of documents does not matter.
/// When the documents run out of pairs the vocabulary is smaller than asked for.
/// kInvalidArgument: vocab_size below 256 plus the added tokens, an empty, repeated or one-byte
/// added token, a pattern that does not compile, a document that is not UTF-8 (its index is named).
Result<std::string> TrainBpe(std::span<const std::string> documents, const TrainOptions& options);

}  // namespace aha::policy
