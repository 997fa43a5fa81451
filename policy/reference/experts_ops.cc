#include "policy/reference/experts_ops.h"

#include <limits>
#include <optional>

#include <ATen/TensorOperators.h>
#include <ATen/ops/bincount.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/sigmoid.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/sort.h>
#include <ATen/ops/topk.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <c10/core/GradMode.h>

namespace aha::policy::reference::kernels {
namespace {

// Indices of the `count` largest along the last dimension, the lower index first among equals.
at::Tensor TopIndices(const at::Tensor& values, std::int64_t count) {
  const auto [sorted, order] =
      at::sort(values, std::optional<bool>(true), /*dim=*/-1, /*descending=*/true);
  return order.slice(-1, 0, count);
}

// Scores of experts outside the kept groups become -inf (0 would let them win over negative ones).
at::Tensor KeepBestGroups(const at::Tensor& choice_TE, const GateRule& rule) {
  const std::int64_t tokens = choice_TE.size(0);
  const std::int64_t in_group = choice_TE.size(1) / rule.groups;
  const at::Tensor grouped_TGX = choice_TE.view({tokens, rule.groups, in_group});
  const at::Tensor group_score_TG =
      std::get<0>(at::topk(grouped_TGX, rule.group_score_experts, -1)).sum(-1);
  const at::Tensor kept_TG = at::zeros_like(group_score_TG, at::kBool)
                                 .scatter_(1, TopIndices(group_score_TG, rule.kept_groups), true);
  return grouped_TGX
      .masked_fill(kept_TG.logical_not().unsqueeze(-1), -std::numeric_limits<float>::infinity())
      .view({tokens, choice_TE.size(1)});
}

}  // namespace

Routing Route(const at::Tensor& x_TH,
              const PackedMatrix& gate_EH,
              const at::Tensor& bias_E,
              const GateRule& rule) {
  Routing routing;
  const at::Tensor logits_TE = at::linear(x_TH.to(at::kFloat), gate_EH.leaf().to(at::kFloat));
  routing.scores_TE = rule.softmax ? at::softmax(logits_TE, -1) : at::sigmoid(logits_TE);
  {
    const at::NoGradGuard no_grad;
    at::Tensor choice_TE = bias_E.defined() ? routing.scores_TE + bias_E : routing.scores_TE;
    if (rule.groups > 1) choice_TE = KeepBestGroups(choice_TE, rule);
    routing.experts_TK = TopIndices(choice_TE, rule.experts_per_token).contiguous();
  }
  at::Tensor weights_TK = routing.scores_TE.gather(1, routing.experts_TK);
  if (rule.normalise) weights_TK = weights_TK / (weights_TK.sum(-1, /*keepdim=*/true) + 1e-20);
  routing.weights_TK = weights_TK * rule.scaling;
  return routing;
}

at::Tensor RunExpert(const at::Tensor& x_TH, const ExpertWeights& weights) {
  const at::Tensor padded = PadRows(x_TH);
  const at::Tensor inner = SwiGlu(Linear(padded, weights.gate, weights.gate_bias),
                                  Linear(padded, weights.up, weights.up_bias));
  return Linear(inner, weights.down, weights.down_bias).narrow(0, 0, x_TH.size(0));
}

at::Tensor RunRoutedExperts(const at::Tensor& x_TH,
                            const Routing& routing,
                            const std::vector<ExpertWeights>& experts) {
  const std::int64_t tokens = x_TH.size(0);
  const std::int64_t slots = routing.experts_TK.size(1);
  // Dispatch: (token, slot) pairs by expert, in token order inside an expert.
  const auto [sorted, order] = at::sort(routing.experts_TK.reshape({-1}), std::optional<bool>(true),
                                        /*dim=*/0, /*descending=*/false);
  const at::Tensor load_E =
      ExpertLoad(routing.experts_TK, static_cast<std::int64_t>(experts.size()));
  const auto* load = load_E.const_data_ptr<std::int64_t>();
  const at::Tensor sent = x_TH.index_select(0, order.div(slots, "floor"));
  std::vector<at::Tensor> done;
  std::int64_t start = 0;
  for (std::size_t e = 0; e < experts.size(); ++e) {
    if (load[e] == 0) continue;
    done.push_back(RunExpert(sent.narrow(0, start, load[e]), experts[e]));
    start += load[e];
  }
  // Combine: back to (token, slot) order, then a weighted sum over the slots.
  at::Tensor place = at::empty({tokens * slots}, at::kLong);
  auto* places = place.mutable_data_ptr<std::int64_t>();
  const auto* orders = order.const_data_ptr<std::int64_t>();
  for (std::int64_t i = 0; i < tokens * slots; ++i)
    places[orders[i]] = i;
  const at::Tensor back_TKH =
      at::cat(done, 0).index_select(0, place).view({tokens, slots, x_TH.size(1)});
  const at::Tensor weighted_TKH = back_TKH.to(at::kFloat) * routing.weights_TK.unsqueeze(-1);
  at::Tensor sum_TH = weighted_TKH.select(1, 0);
  for (std::int64_t k = 1; k < slots; ++k)
    sum_TH = sum_TH + weighted_TKH.select(1, k);
  return sum_TH.to(x_TH.scalar_type());
}

at::Tensor BalanceLoss(const at::Tensor& scores_TE,
                       std::int64_t experts_per_token,
                       const at::Tensor& sequence_T,
                       const std::vector<std::int64_t>& lengths_S) {
  const auto sequences = static_cast<std::int64_t>(lengths_S.size());
  const std::int64_t experts = scores_TE.size(1);
  at::Tensor length_S1 = at::empty({sequences, 1}, at::kFloat);
  for (std::int64_t s = 0; s < sequences; ++s) {
    length_S1.mutable_data_ptr<float>()[s] =
        static_cast<float>(lengths_S[static_cast<std::size_t>(s)]);
  }
  at::Tensor fraction_SE;
  {
    const at::NoGradGuard no_grad;
    const at::Tensor chosen_TE =
        at::zeros_like(scores_TE).scatter_(1, TopIndices(scores_TE, experts_per_token), 1.0);
    fraction_SE = at::zeros({sequences, experts}, at::kFloat).index_add_(0, sequence_T, chosen_TE) *
                  (static_cast<double>(experts) / static_cast<double>(experts_per_token)) /
                  length_S1;
  }
  const at::Tensor share_TE = scores_TE / scores_TE.sum(-1, /*keepdim=*/true);
  const at::Tensor mean_SE =
      at::zeros({sequences, experts}, at::kFloat).index_add(0, sequence_T, share_TE) / length_S1;
  return (fraction_SE * mean_SE).sum();
}

at::Tensor ExpertLoad(const at::Tensor& experts_TK, std::int64_t experts) {
  return at::bincount(experts_TK.reshape({-1}), {}, experts);
}

}  // namespace aha::policy::reference::kernels
