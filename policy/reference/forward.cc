#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/sigmoid.h>
#include <ATen/ops/tensor.h>
#include <c10/core/GradMode.h>

#include "policy/reference/policy.h"

namespace aha::policy::reference {
namespace {

using kernels::Linear;

kernels::GateRule RuleOf(const PolicyConfig& c) {
  return {c.num_experts_per_tok,
          c.n_group,
          c.topk_group,
          c.norm_topk_prob,
          c.routed_scaling_factor,
          c.scoring == Scoring::kSoftmax,
          c.group_score_experts};
}

}  // namespace

at::Tensor Policy::RunExperts(const BlockWeights& w,
                              const at::Tensor& u_TH,
                              const RaggedBatch& batch,
                              ForwardTrace* trace) const {
  const PolicyConfig& c = config_;
  const kernels::Routing routing = kernels::Route(u_TH, w.gate, w.gate_bias, RuleOf(c));
  at::Tensor out_TH = batch.accelerator != nullptr
                          ? batch.accelerator->RunRoutedExperts(u_TH, routing, w.experts)
                          : kernels::RunRoutedExperts(u_TH, routing, w.experts);
  if (w.shared.gate.defined()) {
    at::Tensor shared_TH = kernels::RunExpert(u_TH, w.shared);
    if (w.shared_switch.defined())
      shared_TH = at::sigmoid(Linear(u_TH, w.shared_switch)) * shared_TH;
    out_TH = out_TH + shared_TH;
  }
  if (trace != nullptr) {
    trace->expert_load.push_back(kernels::ExpertLoad(routing.experts_TK, c.n_routed_experts));
    if (trace->balance) {
      const at::Tensor loss = kernels::BalanceLoss(routing.scores_TE, c.num_experts_per_tok,
                                                   batch.sequence_T, batch.new_S);
      trace->balance_loss = trace->balance_loss.defined() ? trace->balance_loss + loss : loss;
    }
  }
  return out_TH;
}

at::Tensor Policy::RunBlock(const BlockWeights& w,
                            const at::Tensor& x_TH,
                            const RaggedBatch& batch,
                            const Angles& angles,
                            std::int64_t layer,
                            ForwardTrace* trace) const {
  const double eps = config_.rms_norm_eps;
  const at::Tensor normed_TH = kernels::RmsNorm(x_TH, w.input_norm, eps);
  const at::Tensor mixed_TH = config_.attention == AttentionKind::kLatent
                                  ? LatentAttend(w.attention, normed_TH, batch, angles, layer)
                                  : GroupedAttend(w.attention, normed_TH, batch, angles, layer);
  const at::Tensor after_TH = x_TH + mixed_TH;
  const at::Tensor u_TH = kernels::RmsNorm(after_TH, w.post_attention_norm, eps);
  return after_TH + (w.dense ? kernels::RunExpert(u_TH, w.mlp) : RunExperts(w, u_TH, batch, trace));
}

at::Tensor Policy::Forward(const RaggedBatch& batch, ForwardTrace* trace) const {
  const Angles angles = RopeAngles(config_, batch.positions_T);
  at::Tensor x_TH = kernels::Embed(batch.ids_T, embedding_);
  for (std::size_t l = 0; l < blocks_.size(); ++l) {
    x_TH = RunBlock(blocks_[l], x_TH, batch, angles, static_cast<std::int64_t>(l), trace);
  }
  return kernels::RmsNorm(x_TH, final_norm_, config_.rms_norm_eps);
}

Policy::MtpOutput Policy::ForwardMtp(const RaggedBatch& batch,
                                     const at::Tensor& hidden_TH,
                                     bool detach_embedding,
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
  const at::Tensor joined =
      at::cat({kernels::RmsNorm(embedded_MH, mtp_->embedding_norm, eps),
               kernels::RmsNorm(hidden_TH.index_select(0, out.place_M), mtp_->hidden_norm, eps)},
              -1);
  const Angles angles = RopeAngles(config_, shifted.positions_T);
  const at::Tensor x_MH =
      RunBlock(mtp_->block, Linear(joined, mtp_->projection), shifted, angles, /*layer=*/-1, trace);
  out.hidden_MH = kernels::RmsNorm(x_MH, mtp_->final_norm, eps);
  return out;
}

}  // namespace aha::policy::reference
