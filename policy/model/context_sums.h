#pragma once
/// Gradients of a shared context's keys and values between batches. Sequences that go on from one
/// context may come in several batches; the context comes with each, and its own gradient with the
/// last. Until then what the sequences add to it is kept here, in fp32: one chain in their order,
/// wherever batches are cut.

#include <cstddef>
#include <vector>

#include "policy/kernels/cpu/numbers.h"

namespace aha::policy {

class ContextSums {
 public:
  /// Copies a layer's sums, as AttentionGradientArgs has them: [context, G*W] and [context, G*D].
  void Keep(std::size_t layer, cpu::Rows<const float> dk, cpu::Rows<const float> dv);
  void Recall(std::size_t layer, cpu::Rows<float> dk, cpu::Rows<float> dv) const;

 private:
  struct Layer {
    std::vector<float> dk, dv;
  };
  std::vector<Layer> layers_;
};

}  // namespace aha::policy
