#pragma once
/// The tiny models of tests/policy/tiny_weights.h on LibTorch.

#include <ATen/Parallel.h>

#include "policy/reference/policy.h"
#include "tests/policy/tiny_weights.h"

namespace aha::policy::reference {

inline Policy TinyPolicy(const PolicyConfig& config = TinyConfig()) {
  at::set_num_threads(1);  // so that sums come out the same on every machine
  return Policy::Of(TinyWeights(config, WeightsUse::kInference));
}

}  // namespace aha::policy::reference
