#pragma once
/// Where the rows of each named tensor lie in a policy's packed weights.

#include "policy/model/weights.h"

namespace aha::policy {

/// One of: rows of a matrix from `row` on; a half of a gate-and-up pair; kv_b cut by heads; numbers
/// of a vector from `row` on; the bias of a half.
struct WeightPlace {
  PackedLinear* linear = nullptr;
  PackedNetwork* network = nullptr;
  cpu::PackedGateUp::Half half = cpu::PackedGateUp::Half::kGate;
  PackedLatentHeads* heads = nullptr;
  std::vector<float>* vector = nullptr;
  std::size_t row = 0;
};

class WeightPlaces {
 public:
  /// Makes every tensor's place, zero (norms one).
  static void Make(Weights& weights);
  static WeightPlace Of(Weights& weights, const TensorSpec& spec);

 private:
  static PackedBlock MakeBlock(const Weights& weights, bool dense);
  static WeightPlace InBlock(const PolicyConfig& config,
                             PackedBlock& block,
                             const TensorSpec& spec);
};

}  // namespace aha::policy
