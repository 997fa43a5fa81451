#pragma once
/// Inner interface of attention: what a target provides. Use attention.h.

#include <cstddef>
#include <cstdint>

#include "policy/kernels/cpu/kv_pages.h"
#include "policy/kernels/cpu/target.h"

namespace aha::policy::cpu {

constexpr std::size_t kAttentionBlock = 128;  // positions of one step of the online softmax
constexpr std::size_t kAttentionRows = 48;    // rows of a chunk at most

/// One query of one head.
struct AttentionRow {
  const void* q = nullptr;
  void* y = nullptr;
  float* lse = nullptr;
  const std::int32_t* pages = nullptr;
  std::size_t keys = 0;  ///< positions it sees
};

/// What will be read after a chunk: a row's keys of one key-value head.
struct AttentionNext {
  const std::byte* pool = nullptr;  ///< of that head in page 0
  const std::int32_t* pages = nullptr;
  std::size_t keys = 0;  ///< none: nobody knows
};

/// Rows that read the same key-value head.
struct AttentionChunk {
  KvShape shape;
  const std::byte* pool = nullptr;  ///< of that head in page 0
  std::size_t page_stride = 0;
  float scale = 1;
  const AttentionRow* rows = nullptr;
  std::size_t count = 0;  ///< up to kAttentionRows
  AttentionNext next;     ///< asked of memory ahead
};

struct AttentionKernels {
  void (*bf16)(const AttentionChunk&);
  void (*fp32)(const AttentionChunk&);
};
const AttentionKernels& AttentionKernelsFor(KernelTarget target);

}  // namespace aha::policy::cpu
