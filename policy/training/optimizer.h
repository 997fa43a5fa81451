#pragma once
/// AdamW (Loshchilov and Hutter, arXiv:1711.05101) over fp32 masters: the policy's weights hold the
/// masters rounded to its number type, and never anything else.

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "policy/checkpoint/safetensors.h"
#include "policy/kernels/cpu/adamw.h"
#include "policy/model/gradients.h"
#include "policy/model/pass.h"
#include "policy/model/weights.h"

namespace aha::policy {

enum class Moments : std::uint8_t {
  kFp32,
  kBf16,  ///< half the memory; beta2 must not exceed 0.99, or the second moment stalls
};

struct AdamWOptions {
  double beta1 = 0.9;
  double beta2 = 0.95;
  double epsilon = 1e-8;
  double weight_decay = 0.1;  ///< matrices only
  double clip_norm = 1.0;     ///< 0: no clipping
  Moments moments = Moments::kFp32;
};

class AdamW {
 public:
  AdamW(const Weights& weights, const AdamWOptions& options);

  /// One update of masters, moments and `weights`. Returns the gradient's global norm before
  /// clipping. A norm that is not finite changes nothing and is the caller's to report.
  double Step(const cpu::Cpu& cpu,
              Weights& weights,
              const Gradients& gradients,
              double learning_rate);

  /// Masters, moments and step count, for a commit: views that the next step changes. `Restore` is
  /// its inverse and names the tensor that is missing or of another size.
  [[nodiscard]] std::vector<TensorView> State() const;
  Status Restore(const SafetensorsFile& state, const cpu::Cpu& cpu, Weights& weights);

 private:
  void WriteWeights(const cpu::Cpu& cpu, Weights& weights, std::size_t tensor) const;
  template <class M>
  void StepTensor(const cpu::Cpu& cpu,
                  const cpu::AdamWStep& step,
                  cpu::Rows<const float> gradient,
                  Weights& weights,
                  std::size_t tensor);

  AdamWOptions options_;
  std::int64_t steps_ = 0;
  cpu::Buffer master_, first_, second_;  // flat as Gradients
};

/// The first tensor of a policy that holds NaN or infinity; empty: none does.
std::string FirstNotFinite(const Weights& weights);

/// Learning rate of update `step` (from 0): linear warm-up to the peak, then the shape.
struct Schedule {
  enum class Shape : std::uint8_t {
    kConstant,
    kCosine,       ///< down to peak * final_ratio at the last update
    kMultiStep,    ///< times drop_ratio from first_drop * total on, again from second_drop * total
    kStableDecay,  ///< constant, then a straight line to peak * final_ratio at the last update
  };
  double peak = 3e-4;
  std::int64_t warmup = 0;
  Shape shape = Shape::kConstant;
  double final_ratio = 0.1;
  std::int64_t total = 1;
  double first_drop = 0.8, second_drop = 0.9;  ///< shares of all updates
  double drop_ratio = 0.31622776601683794;
  double decay_share = 0.1;  ///< of all updates, at the end
  [[nodiscard]] double At(std::int64_t step) const;
};

/// Moves each gate's selection bias by `rate` towards balance: b += rate * sign(mean load - load)
/// (auxiliary-loss-free balancing, arXiv:2408.15664). `load` of the whole batch.
void UpdateGateBiases(Weights& weights, const ExpertLoad& load, double rate);

/// (max load - mean load) / mean load, the worst of the layers: MaxVio of the same paper.
double MaxViolation(const ExpertLoad& load);

}  // namespace aha::policy
