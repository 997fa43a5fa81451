#pragma once
/// What pre-training, SFT and RL share: micro-batches add gradients, one step applies them. They
/// differ in the slopes of their losses by token alone.
///
/// Shapes: T tokens of a ragged batch, N target tokens among them.

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "policy/model/head.h"
#include "policy/model/pass.h"
#include "policy/training/load_health.h"
#include "policy/training/optimizer.h"
#include "policy/training/targets.h"

namespace aha::policy {

/// Log-probabilities of targets under weights that are not being trained.
class TargetLogprobs {
 public:
  /// Both are borrowed.
  TargetLogprobs(const Weights& weights, const cpu::Cpu& cpu)
      : pass_(weights, cpu), head_(weights, cpu) {}
  std::vector<float> Of(const TargetSequences& sequences, float temperature);

 private:
  Pass pass_;
  Head head_;
};

/// Losses beside that of the targets' log-probabilities, already over the whole batch's
/// denominators.
struct SideLosses {
  double balance = 0;         ///< of each sequence's balance loss
  double mtp = 0;             ///< of each token's -log P, two ahead; 0: the module does not run
  bool mtp_to_trunk = false;  ///< else its gradients stay inside the module
};

struct MicroReport {
  double mtp_sum = 0;  ///< of -log P
  std::int64_t mtp_tokens = 0;
};

struct UpdateReport {
  double gradient_norm = 0;  ///< before clipping
  double max_violation = 0;  ///< of expert load
  std::vector<double> load;  ///< share of the busiest expert, a MoE layer
  LoadHealth health;         ///< of the experts
};

/// Of each target.
struct TargetValues {
  std::vector<float> logprob_N, entropy_N;
};

/// One policy being trained: its optimizer, and the update under way.
///
/// Micro-batches run one after another; kernels share each among the threads of the Cpu. A gradient
/// adds the tokens of all of them in order, so neither their size nor the threads change a bit. One
/// that is open is followed by the one that continues it, or by Drop.
class Update {
 public:
  /// A micro-batch whose activations would take more runs its blocks again on the way back.
  static constexpr std::size_t kMostTapeBytes = std::size_t{2} << 30U;

  /// Both are borrowed; `weights` must be for training. Recomputation, beyond `most_tape_bytes`,
  /// changes time and memory, and no bit.
  Update(Weights& weights,
         const cpu::Cpu& cpu,
         const AdamWOptions& options,
         double bias_rate,
         std::size_t most_tape_bytes = kMostTapeBytes);

  /// The gradient of a loss by each target's log-probability, given those and the entropies.
  using SlopesOf = std::function<Result<std::vector<float>>(const Targets& targets,
                                                            std::span<const float> logprob_N,
                                                            std::span<const float> entropy_N)>;
  /// Forward, slopes, backward; adds gradients and expert load. `entropies` false: none are given.
  Result<MicroReport> Add(const TargetSequences& sequences,
                          float temperature,
                          bool entropies,
                          const SideLosses& side,
                          const SlopesOf& slopes_of);

  /// The same for slopes that are known before the log-probabilities are: logits are then made
  /// once. Gives the log-probabilities and entropies that the pass has found; same bits.
  MicroReport AddKnown(const TargetSequences& sequences,
                       float temperature,
                       const SideLosses& side,
                       std::span<const float> slope_N,
                       TargetValues& values);

  /// Clip, step, bias update, clear. A gradient that is not finite is an error that names the
  /// first tensor it was found in; weights are untouched then.
  Result<UpdateReport> Finish(double learning_rate);

  /// Forgets what was added since the last step.
  void Drop();

  AdamW& optimizer() { return optimizer_; }
  [[nodiscard]] const cpu::Cpu& cpu() const { return cpu_; }

 private:
  Hidden Forward(const TargetSequences& sequences, ExpertLoad& load);
  MicroReport Backward(const TargetSequences& sequences,
                       const Hidden& hidden,
                       const SideLosses& side,
                       std::size_t trunk_layers,
                       cpu::Rows<float> dhidden);
  MicroReport AddMtp(const TargetSequences& sequences,
                     const Hidden& hidden,
                     const SideLosses& side,
                     std::size_t trunk_layers,
                     cpu::Rows<float> dhidden);
  void AddLoad(const ExpertLoad& load, std::size_t first_layer);

  Weights& weights_;
  const cpu::Cpu& cpu_;
  Pass pass_;
  Head head_;
  Tape tape_, mtp_tape_;
  ContextSums sums_;  // of a prompt whose samples come in several micro-batches
  Workspace memory_;
  Gradients gradients_;
  AdamW optimizer_;
  double bias_rate_;
  std::size_t most_tape_bytes_;
  ExpertLoad load_;
};

}  // namespace aha::policy
