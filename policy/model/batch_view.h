#pragma once
/// Ragged batches: new tokens of several sequences one after another, without padding. A view:
/// whoever makes it owns the numbers, until the pass returns.
///
/// Shapes: T new tokens in all, S sequences.

#include <cstdint>
#include <span>
#include <vector>

#include "policy/model/kv_pool.h"

namespace aha::policy {

/// New tokens of one sequence, at positions context, context + 1, ...
struct SequenceTokens {
  std::span<const std::int32_t> ids;  ///< at least one
  std::size_t context = 0;  ///< tokens before them, whose keys and values the pages hold already;
                            ///< without a pool see `shares_context`
  std::span<const std::int32_t>
      pages;  ///< block table: page of each page_tokens tokens, enough for context + ids.size()
  /// Without a pool: goes on from the next sequence of the batch that does not say so, all of its
  /// `context` tokens. They are computed once for all that share them.
  bool shares_context = false;
};

/// With a pool, the new tokens' keys and values are written to the pages (those of no two sequences
/// of a batch may be written to one place) and attention reads context and new tokens from there.
/// Without one, sequences are whole, or share contexts of the same batch.
struct TokenBatch {
  std::span<const SequenceTokens> sequences;
  KvPool* pool = nullptr;
  /// The first context's gradient has begun in the batch before; the last one's (of the last
  /// sequence) is not finished in this one. See ContextSums.
  bool continued = false, open = false;

  [[nodiscard]] std::size_t tokens() const {
    std::size_t tokens = 0;
    for (const SequenceTokens& s : sequences)
      tokens += s.ids.size();
    return tokens;
  }
};

}  // namespace aha::policy
