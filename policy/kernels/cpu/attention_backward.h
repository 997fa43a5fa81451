#pragma once
/// Gradient of causal attention over whole sequences, from the log-sum-exp that Attention saved. A
/// sequence's gradient depends on that sequence alone, or on the others that share its context.
///
/// Shapes: T tokens of a ragged batch, A query heads, G key-value heads, W key width, D value
/// width.

#include <cstdint>
#include <span>

#include "policy/kernels/cpu/cpu.h"
#include "policy/kernels/cpu/numbers.h"

namespace aha::policy::cpu {

/// Sequences [first, context) of a batch that go on from one sequence, `context`.
struct SharedContext {
  std::size_t first = 0, context = 0;
  std::size_t sum_row = 0;  ///< where the context's tokens begin in `dk_sum` and `dv_sum`
};

template <class T>
struct AttentionGradientArgs {
  std::span<const std::int64_t> start_S1;  ///< [S + 1]: first token of each sequence
  /// In order, not latent; sequences of none are whole. A context's keys and values take the
  /// gradients of the sequences that go on from it, one after the other, then its own. `dk_sum` and
  /// `dv_sum` hold the sums: what they start from, then what they have come to before its own.
  std::span<const SharedContext> contexts = {};
  Rows<float> dk_sum, dv_sum;  ///< [.., G*W], [.., G*D]
  bool open = false;           ///< the last context is the last sequence and has no gradient yet
  std::size_t heads = 0, kv_heads = 0, key_width = 0, value_width = 0;
  bool latent = false;  ///< MLA absorbed: v is k's first D numbers, dv goes into dk; v and dv are
                        ///< not looked at
  float scale = 1;
  Rows<const T> q, k, v;  ///< [T, A*W], [T, G*W], [T, G*D]
  Rows<const T> y, dy;    ///< [T, A*D]
  const float* lse_TA = nullptr;
  Rows<T> dq, dk, dv;  ///< overwritten; strides as of q, k and v
};

/// Softmax weights are taken in fp32 here also for bf16, whose forward rounded them.
template <class T>
void AttentionBackward(const Cpu& cpu, const AttentionGradientArgs<T>& args);

}  // namespace aha::policy::cpu
