#pragma once
/// From hidden states to tokens, log-probabilities and their gradients, in blocks of rows: logits
/// of a whole batch are never kept. Rollout and learner take a token's log-probability from the
/// same code: the same bits.
///
/// Shapes: T rows of hidden states, N of them asked for, H hidden, V vocabulary.

#include <cstdint>
#include <span>

#include "policy/kernels/cpu/logits.h"
#include "policy/model/gradients.h"
#include "policy/model/pass.h"

namespace aha::policy {

class Head {
 public:
  /// Both are borrowed.
  Head(const Weights& weights, const cpu::Cpu& cpu) : weights_(weights), cpu_(cpu) {}

  /// Draws a token after each row named by docs/sampling.md's rule, with its log-probability and
  /// entropy.
  void Sample(const Hidden& hidden,
              std::span<const std::int32_t> row_N,
              std::span<const cpu::SampleRequest> request_N,
              std::span<cpu::SampledToken> out_N);

  /// Log-probabilities of `target_N` after the rows `row_N`: log-softmax of logits / temperature
  /// over the whole vocabulary.
  /// @param entropy_N  nats; empty: not wanted. `likeliest_N` the same.
  void Logprobs(const Hidden& hidden,
                std::span<const std::int32_t> row_N,
                std::span<const std::int32_t> target_N,
                float temperature,
                std::span<float> logprob_N,
                std::span<float> entropy_N = {},
                std::span<std::int32_t> likeliest_N = {});

  struct Slopes {
    std::span<const float> dlogprob_N;
    std::span<const float> dentropy_N = {};  ///< or empty
  };
  /// Gradient of Logprobs. `dhidden_TH` is overwritten, zero in rows that are not named; no row may
  /// be named twice. The head's own gradient is added to that use of the table; without `gradients`
  /// it has none. `logprob_N` and `entropy_N`, where given, take what Logprobs gives: whoever knows
  /// the slopes before needs no Logprobs.
  void LogprobsBackward(const Hidden& hidden,
                        std::span<const std::int32_t> row_N,
                        std::span<const std::int32_t> target_N,
                        float temperature,
                        const Slopes& slopes,
                        cpu::Rows<float> dhidden_TH,
                        Gradients* gradients,
                        TableUse use = TableUse::kHead,
                        std::span<float> logprob_N = {},
                        std::span<float> entropy_N = {});

  /// Logits of the rows named, fp32 [N, V].
  void Logits(const Hidden& hidden, std::span<const std::int32_t> row_N, cpu::Rows<float> out_NV);

 private:
  const Weights& weights_;
  const cpu::Cpu& cpu_;
  Workspace workspace_;
};

}  // namespace aha::policy
