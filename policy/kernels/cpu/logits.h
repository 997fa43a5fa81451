#pragma once
/// From hidden states to tokens and log-probabilities, a block of rows at a time: no [T, V] matrix
/// of a whole batch is kept. docs/sampling.md is the rule from logits and a draw to a token;
/// sampling and learning take a row's log-probability from the same code, so they agree to the last
/// bit.
///
/// Shapes: T rows, H hidden, V vocabulary.

#include <cstdint>
#include <span>

#include "policy/kernels/cpu/cpu.h"
#include "policy/kernels/cpu/packed_matrix.h"

namespace aha::policy::cpu {

struct HeadOptions {
  /// Logits rounded to bf16, as a bf16 head followed by a cast gives them; else fp32 sums as they
  /// are.
  bool round_bf16 = false;
  /// Logits are held for as many rows as this holds, one at least.
  std::size_t block_bytes = std::size_t{32} << 20;
};

struct SampleRequest {
  float temperature = 1;    ///< 0: the likeliest token, the lowest id among equals; its
                            ///< log-probability is at temperature 1
  double draw = 0;          ///< in [0, 1), keyed by the caller
  std::uint32_t top_k = 0;  ///< 0: off
  float top_p = 1;          ///< 1: off
  float min_p = 0;          ///< 0: off
};
struct SampledToken {
  std::int32_t token = 0;
  float logprob = 0;
  float entropy = 0;  ///< nats, of the whole distribution at that temperature
};
template <class T>
void SampleTokens(const Cpu& cpu,
                  Rows<const T> hidden_TH,
                  const PackedMatrix& head_VH,
                  std::span<const SampleRequest> requests_T,
                  std::span<SampledToken> out_T,
                  const HeadOptions& options = {});

/// Of `target_T` at one temperature > 0. Each output is [T] or null; `likeliest` is the argmax. The
/// log of the softmax's denominator is split, lse = most + log_sum, as the gradient wants it.
struct LogprobOutputs {
  float* logprob = nullptr;
  float* entropy = nullptr;
  float* most = nullptr;
  float* log_sum = nullptr;
  std::int32_t* likeliest = nullptr;
};
template <class T>
void TokenLogprobs(const Cpu& cpu,
                   Rows<const T> hidden_TH,
                   const PackedMatrix& head_VH,
                   std::span<const std::int32_t> target_T,
                   float temperature,
                   const LogprobOutputs& out,
                   const HeadOptions& options = {});

/// What the head's backward reads and adds to.
struct HeadGradient {
  const float* dlogprob = nullptr;                ///< [T]
  const float* dentropy = nullptr;                ///< [T] or null
  const PackedMatrix* head_transposed = nullptr;  ///< [H, V] of the head's kind
  Rows<float> dhidden;                            ///< [T, H], overwritten
  Rows<float> dhead;  ///< [V, H], added to, tokens in order; no data: not wanted
  /// [T] or null: what TokenLogprobs gives, from the same logits.
  float* logprob = nullptr;
  float* entropy = nullptr;
};
/// Recomputes the logits block by block. Rounding of logits is taken as the identity.
template <class T>
void TokenLogprobsBackward(const Cpu& cpu,
                           Rows<const T> hidden_TH,
                           const PackedMatrix& head_VH,
                           std::span<const std::int32_t> target_T,
                           float temperature,
                           const HeadGradient& gradient,
                           const HeadOptions& options = {});

}  // namespace aha::policy::cpu
