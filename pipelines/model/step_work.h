#pragma once
/// What one decoding step must do at least: arithmetic, and bytes that must come from memory.

#include <array>
#include <cstddef>

#include "policy/config.h"
#include "policy/kernels/cpu/work_clock.h"

namespace aha::pipelines {

struct StepLoad {
  double flops = 0;  ///< a multiply-add counts as two
  double bytes = 0;  ///< weights once, each cached key and value once
};

/// Rows that decode one token each.
struct StepShape {
  double rows = 1;
  double context = 0;  ///< tokens that a row looks back on
  double shared = 0;   ///< of them, the prompt's, read once for...
  double samples = 1;  ///< ...so many rows
};

/// By kind of work; those not named in a forward pass stay zero. Experts: a token's own arithmetic,
/// and the bytes of those that are expected to be met when tokens choose evenly and at random.
using StepLoads = std::array<StepLoad, static_cast<std::size_t>(policy::cpu::Work::kCount)>;
StepLoads LoadsOf(const policy::PolicyConfig& config, const StepShape& shape);
StepLoad Sum(const StepLoads& loads);

}  // namespace aha::pipelines
