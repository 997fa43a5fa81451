// A mixture of experts (DeepSeekMoE): routed experts, and a network shared by all tokens. Dispatch,
// products and combine are steps of their own; a token's slots are added in order on its own row.

#include "policy/kernels/cpu/gemm.h"
#include "policy/kernels/cpu/ops.h"
#include "policy/kernels/cpu/weight_gradient.h"
#include "policy/model/balance.h"
#include "policy/model/block.h"

namespace aha::policy {
namespace {

using cpu::Read;

template <class T>
void RunRouted(const BlockContext& context,
               const PackedBlock& block,
               Rows<const T> u,
               ExpertsTape<T>& tape,
               Workspace& memory,
               Rows<T> y) {
  const cpu::Cpu& cpu = context.cpu;
  const cpu::Working working(cpu.clock(), cpu::Work::kExperts);
  if (!context.record) {
    cpu::RunExperts<T>(cpu, tape.plan, u, tape.weights_TK, block.experts.gate_up_E,
                       block.experts.down_E, y);
    return;
  }
  const std::size_t sent = tape.plan.from_S.size();
  tape.sent_SH = context.scratch->TakeRows<T>(sent, u.width);
  tape.routed.both = memory.TakeRows<T>(sent, block.experts.both_E.front()->n());
  tape.routed.act =
      context.scratch->TakeRows<T>(sent, block.experts.gate_up_E.front()->intermediate());
  tape.done_SH = memory.TakeRows<T>(sent, u.width);
  cpu::Dispatch<T>(cpu, tape.plan, u, tape.sent_SH);
  cpu::GroupedGemm<T>(cpu, tape.plan, tape.sent_SH, block.experts.both_E, tape.routed.both);
  cpu::SwiGlu<T>(cpu, tape.routed.both, tape.routed.act);
  cpu::GroupedGemm<T>(cpu, tape.plan, tape.routed.act, block.experts.down_E, tape.done_SH);
  cpu::Combine<T>(cpu, tape.plan, tape.done_SH, tape.weights_TK, y);
}

template <class T>
void RunShared(const BlockContext& context,
               const PackedBlock& block,
               Rows<const T> u,
               ExpertsTape<T>& tape,
               Workspace& memory,
               Rows<T> y) {
  const cpu::Cpu& cpu = context.cpu;
  tape.shared_out = memory.TakeRows<T>(u.count, u.width);
  RunNetwork<T>(context, block.network, u, tape.shared, memory, tape.shared_out);
  Rows<const T> shared = tape.shared_out;
  if (block.shared_switch.there()) {
    tape.switch_T = memory.Take<float>(u.count);
    const Rows<T> logit = memory.TakeRows<T>(u.count, 1);
    cpu::Gemm(cpu, u, block.shared_switch.matrix, logit);
    cpu::CopyRows(cpu, Read(logit), Rows<float>(tape.switch_T, u.count, 1));
    const Rows<T> scaled = memory.TakeRows<T>(u.count, u.width);
    cpu::SwitchRows<T>(cpu, shared, tape.switch_T, scaled);
    shared = scaled;
  }
  cpu::Add<T>(cpu, y, shared, y);
}

// Gradients of all experts' weights, tokens in order.
template <class T>
void ExpertGradients(const cpu::Cpu& cpu,
                     const ExpertsTape<T>& tape,
                     const Rows<const T>& ddone,
                     const Rows<const T>& act,
                     const Rows<const T>& split,
                     const Rows<const T>& sent,
                     const BlockGradients& gradients) {
  std::vector<Rows<float>> ddown_E, dgate_up_E;
  for (std::size_t e = 0; e + 1 < tape.plan.start_E1.size(); ++e) {
    ddown_E.push_back(gradients.expert(e, Part::kExpertDown));
    // Gate and up lie one after the other: as one matrix.
    const Rows<float> gate = gradients.expert(e, Part::kExpertGate);
    dgate_up_E.emplace_back(gate.data, 2 * gate.count, gate.width);
  }
  cpu::GroupedWeightGradient<T>(cpu, tape.plan, ddone, act, ddown_E);
  cpu::GroupedWeightGradient<T>(cpu, tape.plan, split, sent, dgate_up_E);
}

// du += gradient of the routed experts' input; dweights of the router is overwritten.
template <class T>
void RunRoutedBackward(const BlockContext& context,
                       const PackedBlock& block,
                       Rows<const T> u,
                       const ExpertsTape<T>& tape,
                       Rows<const T> dy,
                       float* dweights_TK,
                       const BlockGradients& gradients,
                       Workspace& memory,
                       Rows<float> du) {
  const cpu::Cpu& cpu = context.cpu;
  const std::size_t sent = tape.plan.from_S.size();
  const Rows<T> ddone = memory.TakeRows<T>(sent, dy.width);
  cpu::CombineBackward<T>(cpu, tape.plan, tape.done_SH, tape.weights_TK, dy, ddone, dweights_TK);
  const std::size_t wide = block.experts.gate_up_E.front()->intermediate();
  const Rows<T> dact = memory.TakeRows<T>(sent, wide);
  cpu::GroupedGemm<T>(cpu, tape.plan, ddone, block.experts.down_transposed_E, dact);
  const Rows<T> dboth = memory.TakeRows<T>(sent, tape.routed.both.width);
  cpu::SwiGluBackward<T>(cpu, tape.routed.both, dact, dboth);
  const Rows<T> split = memory.TakeRows<T>(sent, 2 * dact.width);
  cpu::SplitGateUp<T>(cpu, dboth, split);
  const Rows<T> act = memory.TakeRows<T>(sent, wide);
  cpu::SwiGlu<T>(cpu, tape.routed.both, act);
  const Rows<T> sent_SH = memory.TakeRows<T>(sent, u.width);
  cpu::Dispatch<T>(cpu, tape.plan, u, sent_SH);
  ExpertGradients<T>(cpu, tape, ddone, act, split, sent_SH, gradients);
  const Rows<T> dsent = memory.TakeRows<T>(sent, dy.width);
  cpu::GroupedGemm<T>(cpu, tape.plan, dboth, block.experts.both_transposed_E, dsent);
  const Rows<T> sum = memory.TakeRows<T>(dy.count, dy.width);
  cpu::Combine<T>(cpu, tape.plan, dsent, nullptr, sum);
  cpu::AddRows<T>(cpu, sum, du);
}

template <class T>
void RunSharedBackward(const BlockContext& context,
                       const PackedBlock& block,
                       Rows<const T> u,
                       const ExpertsTape<T>& tape,
                       Rows<const T> dy,
                       const BlockGradients& gradients,
                       Workspace& memory,
                       Rows<float> du) {
  const cpu::Cpu& cpu = context.cpu;
  Rows<const T> dshared = dy;
  if (block.shared_switch.there()) {
    const Rows<T> scaled = memory.TakeRows<T>(u.count, u.width);
    const Rows<T> dlogit = memory.TakeRows<T>(u.count, 1);
    cpu::SwitchRowsBackward<T>(cpu, tape.shared_out, tape.switch_T, dy, scaled, dlogit.data);
    cpu::WeightGradient(cpu, Read(dlogit), u, gradients.weight(Part::kSharedSwitch));
    cpu::GemmAdd(cpu, Read(dlogit), block.shared_switch.transposed, du);
    dshared = scaled;
  }
  constexpr NetworkParts kParts = {Part::kSharedGate, Part::kSharedUp, Part::kSharedDown};
  RunNetworkBackward<T>(context, block.network, kParts, u, tape.shared, dshared, gradients, memory,
                        du);
}

}  // namespace

cpu::RouterRule RouterRuleOf(const PolicyConfig& c) {
  cpu::RouterRule rule;
  rule.score = c.scoring == Scoring::kSoftmax ? cpu::RouterRule::Score::kSoftmax
                                              : cpu::RouterRule::Score::kSigmoid;
  rule.experts_per_token = static_cast<std::size_t>(c.num_experts_per_tok);
  rule.groups = static_cast<std::size_t>(c.n_group);
  rule.kept_groups = static_cast<std::size_t>(c.topk_group);
  rule.group_score = c.group_score_experts == 1 ? cpu::RouterRule::GroupScore::kBest
                                                : cpu::RouterRule::GroupScore::kTwoBest;
  rule.normalise = c.norm_topk_prob;
  rule.scaling = static_cast<float>(c.routed_scaling_factor);
  return rule;
}

template <class T>
void RunMixture(const BlockContext& context,
                const PackedBlock& block,
                Rows<const T> u,
                ExpertsTape<T>& tape,
                Workspace& memory,
                Rows<T> y) {
  const cpu::Cpu& cpu = context.cpu;
  const cpu::Working working(cpu.clock(), cpu::Work::kNetwork);
  const cpu::RouterRule rule = RouterRuleOf(context.config);
  const std::size_t experts = block.experts.networks.size();
  const std::size_t sent = u.count * rule.experts_per_token;
  const Rows<float> logits = memory.TakeRows<float>(u.count, experts);
  tape.experts_TK = memory.Take<std::int32_t>(sent);
  tape.weights_TK = memory.Take<float>(sent);
  tape.scores_TE = memory.Take<float>(u.count * experts);
  {
    const cpu::Working routing(cpu.clock(), cpu::Work::kRouter);
    cpu::RouterLogits<T>(cpu, u, block.router.matrix, logits);
    cpu::Route(cpu, logits, block.selection_bias.empty() ? nullptr : block.selection_bias.data(),
               rule, {tape.experts_TK, sent}, {tape.weights_TK, sent}, tape.scores_TE);
    cpu::PlanExperts({tape.experts_TK, sent}, rule.experts_per_token, experts, tape.plan);
  }
  RunRouted<T>(context, block, u, tape, memory, y);
  if (block.network.there()) RunShared<T>(context, block, u, tape, memory, y);
  if (context.record) {
    tape.balance_loss = BalanceLoss(cpu, Rows<const float>(tape.scores_TE, u.count, experts),
                                    context.layout.start_S1, rule.experts_per_token);
  }
}

template <class T>
void RunMixtureBackward(const BlockContext& context,
                        const PackedBlock& block,
                        Rows<const T> u,
                        const ExpertsTape<T>& tape,
                        Rows<const T> dy,
                        float balance,
                        const BlockGradients& gradients,
                        Workspace& memory,
                        Rows<float> du) {
  const cpu::Cpu& cpu = context.cpu;
  const cpu::Working working(cpu.clock(), cpu::Work::kInputGradient);
  const cpu::RouterRule rule = RouterRuleOf(context.config);
  const std::size_t experts = block.experts.networks.size();
  const std::size_t sent = u.count * rule.experts_per_token;
  float* dweights_TK = memory.Take<float>(sent);
  RunRoutedBackward<T>(context, block, u, tape, dy, dweights_TK, gradients, memory, du);

  const Rows<const float> scores(tape.scores_TE, u.count, experts);
  const Rows<float> dlogits = memory.TakeRows<float>(u.count, experts);
  cpu::RouteBackward(cpu, scores, rule, {tape.experts_TK, sent}, {dweights_TK, sent}, dlogits);
  if (balance != 0)
    AddBalanceGradient(cpu, scores, context.layout.start_S1, rule, balance, dlogits);
  const Rows<float> wide_u = memory.TakeRows<float>(u.count, u.width);
  cpu::CopyRows(cpu, u, wide_u);
  cpu::WeightGradient(cpu, Read(dlogits), Read(wide_u), gradients.weight(Part::kRouter));
  cpu::GemmAdd(cpu, Read(dlogits), block.router.transposed, du);

  if (block.network.there())
    RunSharedBackward<T>(context, block, u, tape, dy, gradients, memory, du);
}

#define AHA_FOR(T)                                                                            \
  template void RunMixture<T>(const BlockContext&, const PackedBlock&, Rows<const T>,         \
                              ExpertsTape<T>&, Workspace&, Rows<T>);                          \
  template void RunMixtureBackward<T>(const BlockContext&, const PackedBlock&, Rows<const T>, \
                                      const ExpertsTape<T>&, Rows<const T>, float,            \
                                      const BlockGradients&, Workspace&, Rows<float>);
AHA_FOR(cpu::Bf16)
AHA_FOR(float)
#undef AHA_FOR

}  // namespace aha::policy
