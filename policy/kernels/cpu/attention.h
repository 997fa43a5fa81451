#pragma once
/// Causal attention over pages of cached keys and values: grouped heads (GQA) or the absorbed
/// latent form (MLA,
/// DeepSeek-V2, arXiv:2405.04434, section 2.1). Decoding and prefill are one function: a query's bits depend on its own
/// keys alone, not on the queries, sequences, chunks or threads beside it.
///
/// Shapes: T new tokens, A query heads, W numbers of a key, D of a value.

#include <cstdint>
#include <span>

#include "policy/kernels/cpu/cpu.h"
#include "policy/kernels/cpu/kv_pages.h"

namespace aha::policy::cpu {

/// New tokens of one sequence, the queries. Their keys are in the pages already.
struct AttentionSequence {
  std::span<const std::int32_t>
      pages;                  ///< block table: page of each P tokens, from the sequence's start
  std::size_t context = 0;    ///< tokens before the first query
  std::size_t first_row = 0;  ///< of q and y
  std::size_t queries = 0;
};

struct AttentionCall {
  KvShape shape;
  const std::byte* pool = nullptr;  ///< page i at pool + i * page_stride
  std::size_t page_stride = 0;
  std::span<const AttentionSequence> sequences;
  std::size_t heads = 0;  ///< A, a multiple of the shape's heads
  float scale = 1;
};

/// y = softmax(scale * q k^T) v. q is [T, A * W], y [T, A * D]; `lse_TA`, if given, takes the log
/// of each softmax's denominator, fp32 [T, A].
///
/// Softmax runs online in blocks of 128 positions from 0, in fp32; weights are rounded to bf16 when
/// the cache is. Sequences side by side that share pages at the same places (the samples of one
/// prompt) have them read once for all.
void Attention(const Cpu& cpu,
               const AttentionCall& call,
               Rows<const Bf16> q,
               Rows<Bf16> y,
               float* lse_TA = nullptr);
void Attention(const Cpu& cpu,
               const AttentionCall& call,
               Rows<const float> q,
               Rows<float> y,
               float* lse_TA = nullptr);

}  // namespace aha::policy::cpu
