#pragma once
/// A policy's one forward pass, for rollout, learner and evaluation, and its gradient. A token's
/// hidden state depends on that token and those before it in its sequence, bit for bit: on no
/// neighbour in the batch, no chunking, no paging, no number of threads.
///
/// Shapes: T tokens of a batch, H hidden, V vocabulary, E routed experts.

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "policy/kernels/cpu/cpu.h"
#include "policy/model/batch_layout.h"
#include "policy/model/batch_view.h"
#include "policy/model/context_sums.h"
#include "policy/model/gradients.h"
#include "policy/model/rope_table.h"
#include "policy/model/weights.h"
#include "policy/model/workspace.h"

namespace aha::policy {

/// Hidden states after the final norm, [T, H], in the policy's number type. Borrowed from the pass
/// (or its tape).
struct Hidden {
  cpu::NumberKind kind = cpu::NumberKind::kBf16;
  const void* data = nullptr;
  std::size_t tokens = 0, width = 0;

  template <class T>
  [[nodiscard]] cpu::Rows<const T> as() const {
    return {static_cast<const T*>(data), tokens, width};
  }
};

/// Tokens sent to each expert: [E] a MoE layer, in layer order, the MTP module's last.
using ExpertLoad = std::vector<std::vector<std::int64_t>>;

/// Whether batches of this policy may hold sequences that share contexts: those without experts
/// (whose balance is each sequence's own), with grouped attention and no MTP module.
bool SharesContexts(const PolicyConfig& config);

/// What a forward pass keeps for its gradient. Reuse it for the next batch: its memory is kept.
class Tape {
 public:
  /// `recompute`: keep each block's input only, and run the block again on the way back. Same bits,
  /// less memory.
  explicit Tape(bool recompute = false);
  ~Tape();
  Tape(const Tape&) = delete;
  Tape& operator=(const Tape&) = delete;

  /// Sum over sequences and MoE layers of the sequence-wise balance loss (V3, eq. 17-20), before
  /// alpha.
  [[nodiscard]] double balance_loss() const;
  /// Memory that the last pass took.
  [[nodiscard]] std::size_t bytes() const;
  /// From the next pass on.
  void set_recompute(bool recompute);

  struct Record;
  [[nodiscard]] Record& record() { return *record_; }

 private:
  std::unique_ptr<Record> record_;
};

struct ForwardOptions {
  Tape* tape = nullptr;        ///< for Backward; the batch must have no pool
  ExpertLoad* load = nullptr;  ///< overwritten
  /// Shown the embedded tokens (0), then what each block leaves (1, 2, ...).
  std::function<void(std::size_t, const Hidden&)> on_block = {};
};

struct BackwardOptions {
  float balance =
      0;  ///< gradient of each sequence's balance loss: alpha over the number of sequences
  ContextSums* sums = nullptr;  ///< for a batch that is continued or open
};
struct MtpBackwardOptions {
  float balance = 0;
  bool embedding = true;  ///< false: the module's use of the embedding has no gradient
  cpu::Rows<float> dtrunk =
      {};  ///< [T, H]: takes the gradient of `trunk` rows, added to; empty: none wanted
};

/// Runs one batch at a time; for several threads at once make several.
class Pass {
 public:
  /// Both are borrowed. Weights may change between calls, not during one.
  Pass(const Weights& weights, const cpu::Cpu& cpu);
  ~Pass();
  Pass(const Pass&) = delete;
  Pass& operator=(const Pass&) = delete;

  /// Hidden states of the batch's new tokens, in their order; valid until the next call of this
  /// pass (with a tape: until the tape's next use). Ids, contexts and block tables must be in
  /// range.
  Hidden Forward(const TokenBatch& batch, const ForwardOptions& options = {});

  /// Hidden states of the MTP module, for predicting the token after the batch's: row t joins the
  /// trunk's state `trunk` row t with the embedding of the batch's token t, which is the one that
  /// follows it in the sequence. So a batch of the module holds each sequence from its second token
  /// on; positions and pages count from the module's own first. `trunk` may be what Forward just
  /// returned; it stays valid.
  Hidden ForwardMtp(const TokenBatch& batch,
                    const Hidden& trunk,
                    const ForwardOptions& options = {});

  /// Adds the gradients of all parameters, given that of Forward's result, fp32 [T, H]. Rows of an
  /// open context are not read: its gradient comes with the batch that ends it.
  void Backward(Tape& tape,
                cpu::Rows<const float> dhidden,
                Gradients& gradients,
                const BackwardOptions& options = {});
  /// The same of ForwardMtp.
  void BackwardMtp(Tape& tape,
                   cpu::Rows<const float> dhidden,
                   Gradients& gradients,
                   const MtpBackwardOptions& options = {});

  [[nodiscard]] const Weights& weights() const { return weights_; }
  [[nodiscard]] const cpu::Cpu& cpu() const { return cpu_; }

 private:
  const Weights& weights_;
  const cpu::Cpu& cpu_;
  RopeTable rope_;
  BatchLayout layout_, mtp_layout_;
  Workspace workspace_, mtp_workspace_;
};

/// Rows of hidden states by number, in memory of `memory`.
Hidden GatherRows(const cpu::Cpu& cpu,
                  const Hidden& hidden,
                  std::span<const std::int32_t> row_N,
                  Workspace& memory);

}  // namespace aha::policy
