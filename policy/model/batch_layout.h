#pragma once
/// A batch laid out for all layers: where each token stands and where its keys and values go.
///
/// Shapes: T tokens, S sequences.

#include <cstdint>
#include <vector>

#include "policy/kernels/cpu/attention.h"
#include "policy/kernels/cpu/attention_backward.h"
#include "policy/model/batch_view.h"

namespace aha::policy {

struct BatchLayout {
  std::vector<std::int32_t> ids_T, positions_T;
  std::vector<std::int64_t> start_S1;  ///< [S + 1]: first token of each sequence
  std::vector<cpu::AttentionSequence> sequences_S;
  std::vector<std::int32_t> page_T, slot_T;  ///< of each token's key and value
  std::size_t own_pages = 0;                 ///< of a batch without a pool
  std::size_t reach = 0;                     ///< positions below this one

  /// Another place for a token's key and value: the last page of a shared context, if it is not
  /// full, is each sequence's own.
  struct Copy {
    std::size_t token = 0;
    std::int32_t page = 0, slot = 0;
  };
  std::vector<Copy> copies;
  std::vector<cpu::SharedContext> contexts;
  std::size_t context_tokens = 0;  ///< of all contexts
  bool continued = false, open = false;

  [[nodiscard]] std::size_t tokens() const { return ids_T.size(); }
  /// Tokens that have a gradient in this batch: all but an open context's.
  [[nodiscard]] std::size_t gradient_tokens() const;
  /// Overwrites it. Without a pool, pages are numbered from 0: `own_pages` of them, used by one
  /// layer after another.
  void Build(const TokenBatch& batch);

 private:
  void AddTokens(const SequenceTokens& sequence, std::size_t page_tokens);
  void MakePages(const TokenBatch& batch, std::size_t page_tokens);
  std::vector<std::int32_t> tables_;  // block tables of a batch without a pool
};

}  // namespace aha::policy
