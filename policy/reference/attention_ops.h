#pragma once
/// Causal attention in two kinds. Latent (MLA) in its absorbed form (DeepSeek-V2, arXiv:2405.04434,
/// section 2.1): every head reads the same cached row, a latent and a rotated key, so heads fold
/// into the
/// rows of one matrix product per sequence. Grouped (GQA, arXiv:2305.13245): a cached row holds some key
/// heads, then as many value heads, and each pair serves a run of query heads. Rollout and
/// learner call these.
///
/// Shapes: T new tokens of S sequences, Q the longest run of new tokens, L the longest context
/// (cached and new), A heads, R latent width, W width of a cached row, P key heads, D head width.

#include <vector>

#include <ATen/core/Tensor.h>

namespace aha::policy::reference::kernels {

/// Where the rows of a ragged batch stand when sequences are laid side by side.
struct AttentionPlan {
  std::int64_t sequences = 0;
  std::int64_t longest_query = 0;
  std::int64_t longest_context = 0;
  at::Tensor
      pad_SQ;  ///< int64 [S*Q]: the token at each padded place (any token where there is none)
  at::Tensor unpad_T;   ///< int64 [T]: the padded place of each token
  at::Tensor mask_SQL;  ///< fp32 [S, Q, 1, L]: 0 where a query sees a key, -inf elsewhere
};

/// Plan for sequences whose tokens are all new.
AttentionPlan PlanAttention(const std::vector<std::int64_t>& new_S);

/// Plan for sequences of which `context_S` tokens are cached before the `new_S` new ones; keys
/// come as [S, longest_context, W] with `longest_context` given (a whole number of cache pages).
AttentionPlan PlanCachedAttention(const std::vector<std::int64_t>& new_S,
                                  const std::vector<std::int64_t>& context_S,
                                  std::int64_t longest_context);

/// softmax(scale * q k^T) over the latents, softmax in fp32.
///
/// @param query_TAW  [T, A, W]: absorbed query, then the rotated part.
/// @param keys_SLW   [S, L, W]: latent (R wide), then the rotated key.
/// @return           [T, A, R]: the mix of latents that each head takes away.
at::Tensor LatentAttention(const at::Tensor& query_TAW,
                           const at::Tensor& keys_SLW,
                           std::int64_t latent_width,
                           double scale,
                           const AttentionPlan& plan);

/// softmax(scale * q k^T) v, softmax in fp32; query heads A/P * p up to A/P * (p + 1) read key head
/// p.
///
/// @param query_TAD  [T, A, D], rotated.
/// @param rows_SLW   [S, L, 2 P D]: rotated key heads, then value heads.
/// @return           [T, A, D].
at::Tensor GroupedAttention(const at::Tensor& query_TAD,
                            const at::Tensor& rows_SLW,
                            std::int64_t key_heads,
                            double scale,
                            const AttentionPlan& plan);

}  // namespace aha::policy::reference::kernels
