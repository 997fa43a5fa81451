#pragma once
/// Which tokens a draw may choose: top-k, top-p and min-p, by docs/sampling.md's rule.

#include <cstddef>
#include <cstdint>

#include "policy/kernels/cpu/logits_kernels.h"

namespace aha::policy::cpu {

struct Truncation {
  std::uint32_t top_k = 0;  ///< 0: off
  float top_p = 1;          ///< 1: off
  float min_p = 0;          ///< 0: off

  [[nodiscard]] bool off() const { return top_k == 0 && top_p >= 1 && min_p <= 0; }
};

/// Sets the logits of all other tokens to minus infinity: they have no probability left. `x` and
/// `stats` are what LogitsKernels::stats left.
void KeepCandidates(float* x, std::size_t n, const LogitStats& stats, const Truncation& truncation);

}  // namespace aha::policy::cpu
