#pragma once
/// What pre-training, SFT and RL share: micro-batches add gradients, one step applies them. They
/// differ in the loss alone.
///
/// Shapes: T tokens of a ragged batch, N target tokens among them.

#include <cstdint>
#include <vector>

#include <ATen/core/Tensor.h>

#include "policy/model/policy.h"
#include "policy/training/optimizer.h"

namespace aha::policy {

/// Tokens that a loss is taken on, and the rows whose states predict them.
struct Targets {
  at::Tensor row_N;                   ///< int64: the row before the token
  at::Tensor token_N;                 ///< int64
  std::vector<std::size_t> sequence_N;  ///< which sequence of the batch it belongs to
};

/// Every token of a sequence from `first_S` on (at least 1: the first token is predicted by nothing).
Targets TargetsFrom(const std::vector<std::vector<std::int32_t>>& sequences, const std::vector<std::int64_t>& first_S);

/// Sum of -log P of tokens two ahead from the MTP module, over targets at or after `first_S`, and
/// how many they are (V3, eq. 24). `to_trunk` false keeps every gradient inside the module.
struct MtpLoss {
  at::Tensor sum;  ///< undefined when there is no such token
  std::int64_t tokens = 0;
};
MtpLoss MtpLossOf(const Policy& policy, const RaggedBatch& batch, const at::Tensor& hidden_TH,
                  const std::vector<std::int64_t>& first_S, bool to_trunk, ForwardTrace* trace);
/// How many tokens MtpLossOf would count.
std::int64_t CountMtpTargets(std::int64_t length, std::int64_t first);

struct UpdateReport {
  double gradient_norm = 0;   ///< before clipping
  double max_violation = 0;   ///< of expert load
  std::vector<double> load;   ///< share of the busiest expert, a MoE layer
};

/// One policy being trained: its optimizer, the gradients and expert load of the update under way.
class Update {
 public:
  Update(Policy& policy, const AdamWOptions& options, double bias_rate);
  /// Backward of a micro-batch's loss; its load is added up.
  void Add(const at::Tensor& loss, const ForwardTrace& trace);
  /// Clip, step, bias update, clear. A gradient that is not finite is an error that names the
  /// first tensor it was found in; weights are untouched then.
  Result<UpdateReport> Finish(double learning_rate);

  AdamW& optimizer() { return optimizer_; }

 private:
  Policy& policy_;
  AdamW optimizer_;
  GradientSum gradient_;
  double bias_rate_;
  std::vector<at::Tensor> load_;
};

}  // namespace aha::policy
