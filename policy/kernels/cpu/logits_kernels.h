#pragma once
/// Inner interface of logits: what a target provides for one row. Use logits.h.

#include <cstddef>
#include <cstdint>

#include "policy/kernels/cpu/numbers.h"
#include "policy/kernels/cpu/target.h"

namespace aha::policy::cpu {

struct LogitStats {
  float most = 0;
  float log_sum = 0;  ///< log of sum of exp(x - most)
  float entropy = 0;
};

/// Sums of exp(x - most) over so many logits are kept for the draw.
constexpr std::size_t kPickBlock = 128;

constexpr std::size_t kPickRows = 8;
struct PickRow {
  const float* x = nullptr;  ///< after stats
  LogitStats stats;
  double draw = 0;
  std::int32_t token = 0;       ///< out
  const float* sums = nullptr;  ///< of stats: one for each kPickBlock logits
};

struct LogitsKernels {
  /// Divides the row by the temperature in place (rounding it to bf16 before, if asked), and sums
  /// it up. `sums`, if given, takes a sum for each kPickBlock logits.
  LogitStats (*stats)(float* x, std::size_t n, float temperature, bool round_bf16, float* sums);
  /// The place of the largest, the lowest among equals.
  std::int32_t (*likeliest)(const float* x, std::size_t n, const LogitStats& stats);
  /// The token that `pick` would find, from the row's sums: true, unless the draw falls so close to
  /// a token's border that rounding could decide.
  bool (*pick_by_sums)(PickRow& row, std::size_t n);
  /// docs/sampling.md, steps 5 and 6, of up to kPickRows rows of n logits side by side in time:
  /// their running sums are chains of additions that wait for themselves, and not for one another.
  void (*pick)(PickRow* rows, std::size_t count, std::size_t n);
  /// dx = (dlogprob * (1[i = target] - p) - dentropy * p * (log p + entropy)) / temperature, p the
  /// softmax of x.
  void (*backward_bf16)(const float* x,
                        std::size_t n,
                        const LogitStats& stats,
                        std::size_t target,
                        float dlogprob,
                        float dentropy,
                        float temperature,
                        Bf16* dx);
  void (*backward_fp32)(const float* x,
                        std::size_t n,
                        const LogitStats& stats,
                        std::size_t target,
                        float dlogprob,
                        float dentropy,
                        float temperature,
                        float* dx);
};
const LogitsKernels& LogitsKernelsFor(KernelTarget target);

}  // namespace aha::policy::cpu
