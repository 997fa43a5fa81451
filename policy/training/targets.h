#pragma once
/// What a loss is taken on: sequences, the tokens among them that are targets, and the rows of a
/// batch whose states predict those. Sequences that begin alike (a prompt's samples) can compute
/// what they have in common once.
///
/// Shapes: S sequences, N target tokens.

#include <cstdint>
#include <vector>

#include "policy/model/batch_view.h"

namespace aha::policy {

/// Sequences [first, end) of a batch whose first `context` tokens are the same: computed once,
/// their gradients added up first. None of them, nor the next token, may be a target of theirs: the
/// next token is each sequence's own, and its state predicts the first target.
struct SharedPrompt {
  std::size_t first = 0, end = 0;
  std::size_t context = 0;  ///< at least 1
  bool operator==(const SharedPrompt&) const = default;
};

/// Sequences whose tokens from `first_S` on (at least 1: nothing predicts the first) are targets.
struct TargetSequences {
  std::vector<std::vector<std::int32_t>> ids_S;
  std::vector<std::int64_t> first_S;
  std::vector<SharedPrompt> shared = {};  ///< in order; see SharesContexts in pass.h
  /// The first shared prompt had sequences in the batch before; the last one has more in the next.
  bool continued = false, open = false;
};

/// A batch's rows, in order: sequences one after the other, a shared prompt after the last that
/// goes on from it. Borrows the ids. Those that share a prompt leave out their last token, whose
/// state predicts nothing.
struct BatchRows {
  explicit BatchRows(const TargetSequences& sequences);
  [[nodiscard]] TokenBatch batch() const { return {views, nullptr, continued, open}; }

  std::vector<SequenceTokens> views;
  std::vector<std::int64_t> zero_S;  ///< the row that token 0 of each sequence has or would have
  bool continued = false, open = false;
};

/// Tokens that a loss is taken on, in order of sequences, and the rows whose states predict them.
struct Targets {
  std::vector<std::int32_t> row_N, token_N;
  std::vector<std::size_t> sequence_N;  ///< which sequence of the batch it belongs to
};
/// Of tokens `ahead` of their row.
Targets TargetsOf(const TargetSequences& sequences, std::int64_t ahead = 1);

/// How many targets the MTP module has in a sequence: tokens at or after `first`, two ahead of
/// another.
std::int64_t CountMtpTargets(std::int64_t length, std::int64_t first);

/// Cuts sequences into micro-batches: longest first, each at most `budget` tokens (one sequence
/// longer than that stands alone). Returns indices into `lengths`. The order does not depend on the
/// budget, so neither do the bits of a gradient.
std::vector<std::vector<std::size_t>> CutMicroBatches(const std::vector<std::int64_t>& lengths,
                                                      std::int64_t budget);

/// The samples of one prompt, by number.
struct PromptGroup {
  std::vector<std::size_t> members;
  std::int64_t prompt = 0;  ///< tokens
};
/// Some of them, as a batch: what TargetSequences says of members.
struct SharedMicroBatch {
  std::vector<std::size_t> members;
  std::vector<SharedPrompt> shared;
  bool continued = false, open = false;
};
/// The same for groups, in their order: members share all of their prompt but its last token, which
/// counts once a micro-batch. Whether a prompt is shared hangs on its group alone, and so do the
/// order of rows and of sums: the budget changes no bit.
std::vector<SharedMicroBatch> CutSharedMicroBatches(const std::vector<PromptGroup>& groups,
                                                    const std::vector<std::int64_t>& lengths,
                                                    std::int64_t budget);

}  // namespace aha::policy
