#pragma once
/// A batch laid out for all layers: where each token stands and where its keys and values go.
///
/// Shapes: T tokens, S sequences.

#include <cstdint>
#include <vector>

#include "policy/kernels/cpu/attention.h"
#include "policy/model/batch_view.h"

namespace aha::policy {

struct BatchLayout {
  std::vector<std::int32_t> ids_T, positions_T;
  std::vector<std::int64_t> start_S1;  ///< [S + 1]: first token of each sequence
  std::vector<cpu::AttentionSequence> sequences_S;
  std::vector<std::int32_t> page_T, slot_T;  ///< of each token's key and value
  std::vector<std::int32_t> own_pages;       ///< block tables of a batch without a pool
  std::size_t reach = 0;                     ///< positions below this one

  [[nodiscard]] std::size_t tokens() const { return ids_T.size(); }
  /// Overwrites it. Without a pool, pages are numbered from 0: `own_pages` of them, used by one
  /// layer after another.
  void Build(const TokenBatch& batch);
};

}  // namespace aha::policy
