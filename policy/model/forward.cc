#include <ATen/TensorOperators.h>
#include <ATen/ops/bmm.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/tensor.h>
#include <c10/core/GradMode.h>

#include "policy/model/policy.h"

namespace aha::policy {
namespace {

using kernels::Linear;

kernels::GateRule RuleOf(const PolicyConfig& c) {
  return {c.num_experts_per_tok, c.n_group, c.topk_group, c.norm_topk_prob, c.routed_scaling_factor};
}

// The rows that attention reads: the batch's own, or the cache's pages after the new rows are in.
at::Tensor KeysOf(const at::Tensor& rows_TW, const RaggedBatch& batch, std::int64_t layer) {
  const kernels::AttentionPlan& plan = batch.plan;
  if (batch.cache == nullptr) {
    const bool uniform = plan.sequences * plan.longest_context == rows_TW.size(0);
    return (uniform ? rows_TW : rows_TW.index_select(0, plan.pad_SQ))
        .view({plan.sequences, plan.longest_context, rows_TW.size(1)});
  }
  at::Tensor& pages = batch.cache->layers[static_cast<std::size_t>(layer)];
  pages.view({-1, rows_TW.size(1)}).index_copy_(0, batch.slots_T, rows_TW);
  return pages.index_select(0, batch.pages_SB).view({plan.sequences, plan.longest_context, rows_TW.size(1)});
}

}  // namespace

at::Tensor Policy::Attend(const AttentionWeights& w, const at::Tensor& x_TH, const RaggedBatch& batch, std::int64_t layer) const {
  const PolicyConfig& c = config_;
  const std::int64_t tokens = x_TH.size(0);
  const std::int64_t heads = c.num_attention_heads;
  const at::Tensor cos_TD = cos_PD_.index_select(0, batch.positions_T);
  const at::Tensor sin_TD = sin_PD_.index_select(0, batch.positions_T);

  const at::Tensor query_T =
      w.q_proj.defined()
          ? Linear(x_TH, w.q_proj)
          : Linear(kernels::RmsNorm(Linear(x_TH, w.q_a_proj), w.q_a_layernorm, c.rms_norm_eps), w.q_b_proj);
  const at::Tensor query_TAD = query_T.view({tokens, heads, c.qk_head_dim()});
  const at::Tensor query_rope =
      kernels::Rotate(query_TAD.slice(-1, c.qk_nope_head_dim), cos_TD, sin_TD, c.rope_interleave);

  const at::Tensor compressed = Linear(x_TH, w.kv_a_proj);
  const at::Tensor latent_TR =
      kernels::RmsNorm(compressed.slice(-1, 0, c.kv_lora_rank), w.kv_a_layernorm, c.rms_norm_eps);
  const at::Tensor key_rope =
      kernels::Rotate(compressed.slice(-1, c.kv_lora_rank).unsqueeze(1), cos_TD, sin_TD, c.rope_interleave).squeeze(1);

  // Absorption: a head's key rows move to the query's side, its value rows behind the mix.
  const at::Tensor kv_b_AXR = w.kv_b_proj.leaf().view({heads, c.qk_nope_head_dim + c.v_head_dim, c.kv_lora_rank});
  const at::Tensor key_ANR = kv_b_AXR.slice(1, 0, c.qk_nope_head_dim);
  const at::Tensor value_AVR = kv_b_AXR.slice(1, c.qk_nope_head_dim);
  const at::Tensor query_nope_ATN = query_TAD.slice(-1, 0, c.qk_nope_head_dim).transpose(0, 1);
  const at::Tensor absorbed_TAR = at::bmm(query_nope_ATN, key_ANR).transpose(0, 1);

  const at::Tensor keys_SLW = KeysOf(at::cat({latent_TR, key_rope}, -1), batch, layer);
  const at::Tensor mixed_TAR = kernels::LatentAttention(at::cat({absorbed_TAR, query_rope}, -1), keys_SLW,
                                                        c.kv_lora_rank, c.attention_scale(), batch.plan);
  const at::Tensor out_ATV = at::bmm(mixed_TAR.transpose(0, 1), value_AVR.transpose(1, 2));
  return Linear(out_ATV.transpose(0, 1).reshape({tokens, heads * c.v_head_dim}), w.o_proj);
}

at::Tensor Policy::RunBlock(const BlockWeights& w, const at::Tensor& x_TH, const RaggedBatch& batch, std::int64_t layer,
                            ForwardTrace* trace) const {
  const PolicyConfig& c = config_;
  const at::Tensor after_TH =
      x_TH + Attend(w.attention, kernels::RmsNorm(x_TH, w.input_norm, c.rms_norm_eps), batch, layer);
  const at::Tensor u_TH = kernels::RmsNorm(after_TH, w.post_attention_norm, c.rms_norm_eps);
  if (w.dense) return after_TH + kernels::RunExpert(u_TH, w.mlp);
  const kernels::Routing routing = kernels::Route(u_TH, w.gate, w.gate_bias, RuleOf(c));
  at::Tensor out_TH = kernels::RunRoutedExperts(u_TH, routing, w.experts);
  if (w.shared.gate.defined()) out_TH = out_TH + kernels::RunExpert(u_TH, w.shared);
  if (trace != nullptr) {
    trace->expert_load.push_back(kernels::ExpertLoad(routing.experts_TK, c.n_routed_experts));
    if (trace->balance) {
      const at::Tensor loss =
          kernels::BalanceLoss(routing.scores_TE, c.num_experts_per_tok, batch.sequence_T, batch.new_S);
      trace->balance_loss = trace->balance_loss.defined() ? trace->balance_loss + loss : loss;
    }
  }
  return after_TH + out_TH;
}

at::Tensor Policy::Forward(const RaggedBatch& batch, ForwardTrace* trace) const {
  at::Tensor x_TH = kernels::Embed(batch.ids_T, embedding_);
  for (std::size_t l = 0; l < blocks_.size(); ++l) {
    x_TH = RunBlock(blocks_[l], x_TH, batch, static_cast<std::int64_t>(l), trace);
  }
  return kernels::RmsNorm(x_TH, final_norm_, config_.rms_norm_eps);
}

Policy::MtpOutput Policy::ForwardMtp(const RaggedBatch& batch, const at::Tensor& hidden_TH, bool detach_embedding,
                                     ForwardTrace* trace) const {
  // Row i joins the trunk's state at i with the embedding of token i + 1.
  std::vector<std::int64_t> place, position, owner, lengths;
  std::int64_t start = 0;
  for (std::size_t s = 0; s < batch.new_S.size(); ++s) {
    const std::int64_t length = batch.new_S[s] - 1;
    for (std::int64_t i = 0; i < length; ++i) {
      place.push_back(start + i);
      position.push_back(i);
      owner.push_back(static_cast<std::int64_t>(lengths.size()));
    }
    if (length > 0) lengths.push_back(length);
    start += batch.new_S[s];
  }
  MtpOutput out;
  out.place_M = at::tensor(place, at::kLong);
  RaggedBatch shifted;
  shifted.positions_T = at::tensor(position, at::kLong);
  shifted.sequence_T = at::tensor(owner, at::kLong);
  shifted.new_S = lengths;
  shifted.plan = kernels::PlanAttention(lengths);
  at::Tensor embedded_MH = kernels::Embed(batch.ids_T.index_select(0, out.place_M + 1), embedding_);
  if (detach_embedding) embedded_MH = embedded_MH.detach();
  const double eps = config_.rms_norm_eps;
  const at::Tensor joined = at::cat({kernels::RmsNorm(embedded_MH, mtp_->embedding_norm, eps),
                                     kernels::RmsNorm(hidden_TH.index_select(0, out.place_M), mtp_->hidden_norm, eps)},
                                    -1);
  const at::Tensor x_MH = RunBlock(mtp_->block, Linear(joined, mtp_->projection), shifted, /*layer=*/-1, trace);
  out.hidden_MH = kernels::RmsNorm(x_MH, mtp_->final_norm, eps);
  return out;
}

}  // namespace aha::policy
