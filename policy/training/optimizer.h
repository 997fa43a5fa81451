#pragma once
/// AdamW (Loshchilov and Hutter, arXiv:1711.05101) over fp32 masters: the policy's tensors hold the
/// masters rounded to its number type, and never anything else.

#include <cstdint>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "base/result.h"
#include "policy/model/policy.h"

namespace aha::policy {

struct AdamWOptions {
  double beta1 = 0.9;
  double beta2 = 0.95;
  double epsilon = 1e-8;
  double weight_decay = 0.1;  ///< matrices only
  double clip_norm = 1.0;     ///< 0: no clipping
};

/// fp32 sums of gradients over the micro-batches of one update, in the order they were added.
class GradientSum {
 public:
  explicit GradientSum(const Policy& policy);
  /// Adds every parameter's gradient and clears it.
  void Collect(Policy& policy);
  /// Adds another sum.
  void Add(const GradientSum& other) { flat_.add_(other.flat_); }
  [[nodiscard]] const at::Tensor& flat() const { return flat_; }
  void Clear() { flat_.zero_(); }

 private:
  at::Tensor flat_;  ///< fp32, all parameters one after another
};

class AdamW {
 public:
  AdamW(const Policy& policy, const AdamWOptions& options);

  /// One update of masters, moments and `policy`. Returns the gradient's global norm before
  /// clipping. A norm that is not finite changes nothing and is the caller's to report.
  double Step(Policy& policy, const GradientSum& gradient, double learning_rate);

  /// Masters, moments and step count as named tensors, for a commit; `Restore` is its inverse and
  /// names the tensor that is missing or of another size.
  [[nodiscard]] std::vector<NamedTensor> State() const;
  Status Restore(const std::vector<NamedTensor>& state, Policy& policy);

 private:
  void WritePolicy(Policy& policy) const;
  AdamWOptions options_;
  std::int64_t steps_ = 0;
  at::Tensor master_, first_, second_;  ///< fp32 flat
  std::vector<float> decay_;            ///< one a parameter tensor: its weight decay
};

/// Learning rate of update `step` (from 0): linear warm-up to the peak, then constant or a cosine
/// down to peak * final_ratio at the last update.
struct Schedule {
  double peak = 3e-4;
  std::int64_t warmup = 0;
  bool cosine = false;
  double final_ratio = 0.1;
  std::int64_t total = 1;
  [[nodiscard]] double At(std::int64_t step) const;
};

/// Moves each gate's selection bias by `rate` towards balance: b += rate * sign(mean load - load)
/// (auxiliary-loss-free balancing, arXiv:2408.15664). `load` as in ForwardTrace, whole batch.
void UpdateGateBiases(Policy& policy, const std::vector<at::Tensor>& load, double rate);

/// (max load - mean load) / mean load, the worst of the layers: MaxVio of the same paper.
double MaxViolation(const std::vector<at::Tensor>& load);

/// Cuts sequences into micro-batches: longest first, each at most `budget` tokens with padding
/// counted (one sequence longer than that stands alone). Returns indices into `lengths`.
std::vector<std::vector<std::size_t>> CutMicroBatches(const std::vector<std::int64_t>& lengths, std::int64_t budget);

}  // namespace aha::policy
