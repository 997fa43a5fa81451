#pragma once
/// Ragged batches: the tokens of several sequences one after another, without padding, and the view
/// of a paged cache that they may extend.
///
/// Shapes: T new tokens, S sequences, B cache pages in a row of the block table.

#include <cstdint>
#include <vector>

#include <ATen/core/Tensor.h>

#include "policy/config.h"
#include "policy/reference/attention_ops.h"

namespace aha::policy::reference {

class Accelerator;

/// What attention caches of every layer, in pages of `page_tokens` tokens: [pages, page_tokens,
/// kv_width] a layer; a row is a latent and a rotated key, or the rotated key heads and the value
/// heads. The pool is made once; who owns which page is the caller's business.
struct KvPages {
  std::int64_t page_tokens = 0;
  std::vector<at::Tensor> layers;
};
KvPages MakeKvPages(const PolicyConfig& config,
                    std::int64_t pages,
                    std::int64_t page_tokens,
                    at::Device device = at::kCPU);
/// Bytes of one page over all layers.
std::int64_t KvPageBytes(const PolicyConfig& config, std::int64_t page_tokens);

/// A batch laid out: build it once, run it through every layer.
struct RaggedBatch {
  at::Tensor ids_T;                 ///< int64
  at::Tensor positions_T;           ///< int64, from 0 in each sequence
  at::Tensor sequence_T;            ///< int64: which sequence a token belongs to
  std::vector<std::int64_t> new_S;  ///< new tokens of each sequence, at least 1
  kernels::AttentionPlan plan;
  // With a cache only:
  KvPages* cache = nullptr;
  at::Tensor slots_T;   ///< int64: page * page_tokens + offset that a token's row goes to
  at::Tensor pages_SB;  ///< int64 [S*B]: pages of each sequence, short rows filled with 0
  const Accelerator* accelerator = nullptr;  ///< then `plan` has no masks, only its counts
};

/// Sequences whole and without a cache: what the learner runs.
RaggedBatch PackSequences(const std::vector<std::vector<std::int32_t>>& sequences);

/// One sequence's new tokens after what its pages hold already.
struct CachedSequence {
  std::vector<std::int32_t> new_ids;
  std::int64_t context = 0;                ///< tokens in the cache
  const std::vector<std::int64_t>* pages;  ///< enough for context + new_ids.size() tokens
};
/// On the cache's device; attention and experts by `accelerator`, if there is one.
RaggedBatch PackCached(const std::vector<CachedSequence>& sequences,
                       KvPages& cache,
                       const Accelerator* accelerator = nullptr);

}  // namespace aha::policy::reference
