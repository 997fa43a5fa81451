// Attention of a block, latent and grouped: projections, rotation, cache, and the kernel.

#include <ATen/TensorOperators.h>
#include <ATen/ops/bmm.h>
#include <ATen/ops/cat.h>

#include "policy/reference/policy.h"

namespace aha::policy::reference {
namespace {

using kernels::Linear;

// Puts the new rows into the cache.
at::Tensor& WriteRows(const at::Tensor& rows_TW, const RaggedBatch& batch, std::int64_t layer) {
  at::Tensor& pages = batch.cache->layers[static_cast<std::size_t>(layer)];
  pages.view({-1, rows_TW.size(1)}).index_copy_(0, batch.slots_T, rows_TW);
  return pages;
}

// The rows that attention reads: the batch's own, or the cache's pages after the new rows are in.
at::Tensor RowsOf(const at::Tensor& rows_TW, const RaggedBatch& batch, std::int64_t layer) {
  const kernels::AttentionPlan& plan = batch.plan;
  if (batch.cache == nullptr) {
    const bool uniform = plan.sequences * plan.longest_context == rows_TW.size(0);
    return (uniform ? rows_TW : rows_TW.index_select(0, plan.pad_SQ))
        .view({plan.sequences, plan.longest_context, rows_TW.size(1)});
  }
  return WriteRows(rows_TW, batch, layer)
      .index_select(0, batch.pages_SB)
      .view({plan.sequences, plan.longest_context, rows_TW.size(1)});
}

}  // namespace

at::Tensor Policy::LatentAttend(const AttentionWeights& w,
                                const at::Tensor& x_TH,
                                const RaggedBatch& batch,
                                const Angles& angles,
                                std::int64_t layer) const {
  const PolicyConfig& c = config_;
  const std::int64_t tokens = x_TH.size(0);
  const std::int64_t heads = c.num_attention_heads;
  const auto rotate = [&](const at::Tensor& x_TAD) {
    return kernels::Rotate(x_TAD, angles.cos_TD, angles.sin_TD, c.rope_interleave);
  };

  const at::Tensor query_T =
      w.q_proj.defined() ? Linear(x_TH, w.q_proj)
                         : Linear(kernels::RmsNorm(Linear(x_TH, w.q_a_proj, w.q_a_bias),
                                                   w.q_a_layernorm, PolicyConfig::kLatentNormEps),
                                  w.q_b_proj);
  const at::Tensor query_TAD = query_T.view({tokens, heads, c.qk_head_dim()});
  const at::Tensor query_rope = rotate(query_TAD.slice(-1, c.qk_nope_head_dim));

  const at::Tensor compressed = Linear(x_TH, w.kv_a_proj, w.kv_a_bias);
  const at::Tensor latent_TR = kernels::RmsNorm(compressed.slice(-1, 0, c.kv_lora_rank),
                                                w.kv_a_layernorm, PolicyConfig::kLatentNormEps);
  const at::Tensor key_rope = rotate(compressed.slice(-1, c.kv_lora_rank).unsqueeze(1)).squeeze(1);

  // Absorption: a head's key rows move to the query's side, its value rows behind the mix.
  const at::Tensor kv_b_AXR =
      w.kv_b_proj.leaf().view({heads, c.qk_nope_head_dim + c.v_head_dim, c.kv_lora_rank});
  const at::Tensor key_ANR = kv_b_AXR.slice(1, 0, c.qk_nope_head_dim);
  const at::Tensor value_AVR = kv_b_AXR.slice(1, c.qk_nope_head_dim);
  const at::Tensor query_nope_ATN = query_TAD.slice(-1, 0, c.qk_nope_head_dim).transpose(0, 1);
  const at::Tensor absorbed_TAR = at::bmm(query_nope_ATN, key_ANR).transpose(0, 1);

  const at::Tensor rows_TW = at::cat({latent_TR, key_rope}, -1);
  const at::Tensor query_TAW = at::cat({absorbed_TAR, query_rope}, -1);
  const at::Tensor mixed_TAR =
      batch.accelerator != nullptr
          ? batch.accelerator->Attend(query_TAW, WriteRows(rows_TW, batch, layer),
                                      {true, 1, rows_TW.size(1), c.kv_lora_rank},
                                      c.attention_scale(), batch)
          : kernels::LatentAttention(query_TAW, RowsOf(rows_TW, batch, layer), c.kv_lora_rank,
                                     c.attention_scale(), batch.plan);
  const at::Tensor out_ATV = at::bmm(mixed_TAR.transpose(0, 1), value_AVR.transpose(1, 2));
  return Linear(out_ATV.transpose(0, 1).reshape({tokens, heads * c.v_head_dim}), w.o_proj,
                w.o_bias);
}

at::Tensor Policy::GroupedAttend(const AttentionWeights& w,
                                 const at::Tensor& x_TH,
                                 const RaggedBatch& batch,
                                 const Angles& angles,
                                 std::int64_t layer) const {
  const PolicyConfig& c = config_;
  const std::int64_t tokens = x_TH.size(0);
  // Norm before rotation, each head by itself.
  const auto heads_of = [&](const at::Tensor& x, std::int64_t heads, const at::Tensor& norm) {
    at::Tensor x_TAD = x.view({tokens, heads, c.head_dim});
    if (norm.defined()) x_TAD = kernels::RmsNorm(x_TAD, norm, c.rms_norm_eps);
    return kernels::Rotate(x_TAD, angles.cos_TD, angles.sin_TD, c.rope_interleave);
  };
  const at::Tensor query_TAD =
      heads_of(Linear(x_TH, w.q_proj, w.q_bias), c.num_attention_heads, w.q_norm);
  const at::Tensor key_TPD =
      heads_of(Linear(x_TH, w.k_proj, w.k_bias), c.num_key_value_heads, w.k_norm);
  const at::Tensor value_T = Linear(x_TH, w.v_proj, w.v_bias);
  const at::Tensor rows_TW =
      at::cat({key_TPD.reshape({tokens, c.num_key_value_heads * c.head_dim}), value_T}, -1);
  const at::Tensor mixed_TAD =
      batch.accelerator != nullptr
          ? batch.accelerator->Attend(query_TAD, WriteRows(rows_TW, batch, layer),
                                      {false, c.num_key_value_heads, c.head_dim, c.head_dim},
                                      c.attention_scale(), batch)
          : kernels::GroupedAttention(query_TAD, RowsOf(rows_TW, batch, layer),
                                      c.num_key_value_heads, c.attention_scale(), batch.plan);
  return Linear(mixed_TAD.reshape({tokens, c.num_attention_heads * c.head_dim}), w.o_proj,
                w.o_bias);
}

}  // namespace aha::policy::reference
