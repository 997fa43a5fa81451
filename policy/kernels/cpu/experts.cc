#include "policy/kernels/cpu/experts.h"

#include <algorithm>

#include "policy/kernels/cpu/gemm_kernels.h"
#include "policy/kernels/cpu/ops_kernels.h"
#include "policy/kernels/cpu/weight_gradient.h"

namespace aha::policy::cpu {
namespace {

template <class T>
const RowOps<T>& OpsOf(const Cpu& cpu) {
  if constexpr (std::is_same_v<T, Bf16>) {
    return OpsKernelsFor(cpu.target()).bf16;
  } else {
    return OpsKernelsFor(cpu.target()).fp32;
  }
}

template <class F>
void EachRow(const Cpu& cpu, std::size_t rows, std::size_t width, const F& f) {
  constexpr std::size_t kGrain = std::size_t{1} << 14;
  cpu.pool().ParallelFor(rows, std::max<std::size_t>(1, kGrain / std::max<std::size_t>(1, width)),
                         [&](std::size_t begin, std::size_t end) {
                           for (std::size_t r = begin; r < end; ++r)
                             f(r);
                         });
}

// Runs `kernel` for each expert's rows; panels of all experts are dealt to threads in one go, by
// their cost.
template <class T, class W>
void Grouped(const Cpu& cpu,
             const ExpertPlan& plan,
             const Rows<const T>& x,
             const Rows<T>& y,
             std::size_t panels,
             const W& weight_of,
             void (*kernel)(const GemmCall&)) {
  const std::size_t experts = plan.start_E1.size() - 1;
  const auto rows_of = [&](std::size_t e) { return plan.start_E1[e + 1] - plan.start_E1[e]; };
  // A panel is read once and used for every row: reading costs as much as some rows.
  constexpr std::size_t kReading = 6;
  std::size_t total = 0;
  for (std::size_t e = 0; e < experts; ++e)
    total += rows_of(e) == 0 ? 0 : (rows_of(e) + kReading) * panels;
  if (total == 0) return;
  constexpr std::size_t kSmall = std::size_t{1} << 17;  // not worth a second thread
  const std::size_t work = plan.from_S.size() * x.width * y.width;
  const std::size_t parts = work < kSmall ? 1 : cpu.pool().shares();
  cpu.pool().ParallelFor(parts, 1, [&](std::size_t first, std::size_t last) {
    const std::size_t begin = total * first / parts;
    const std::size_t end = total * last / parts;
    std::size_t before = 0;
    for (std::size_t e = 0; e < experts; ++e) {
      if (rows_of(e) == 0) continue;
      // Panels whose start, as a cost, lies in [begin, end).
      const std::size_t cost = rows_of(e) + kReading;
      const auto panel_at = [&](std::size_t place) {
        return place <= before ? 0 : std::min(panels, (place - before + cost - 1) / cost);
      };
      GemmCall call;
      call.x = x[plan.start_E1[e]];
      call.x_stride = x.stride;
      call.rows = rows_of(e);
      call.w = &weight_of(e);
      call.panel_begin = panel_at(begin);
      call.panel_end = panel_at(end);
      call.n = y.width;
      call.y = y[plan.start_E1[e]];
      call.y_stride = y.stride;
      std::size_t next = e + 1;
      while (next < experts && rows_of(next) == 0)
        ++next;
      if (next < experts) call.then = weight_of(next).panel(0);
      if (call.panel_begin < call.panel_end) kernel(call);
      before += cost * panels;
    }
  });
}

}  // namespace

ExpertPlan PlanExperts(std::span<const std::int32_t> experts_TK,
                       std::size_t slots,
                       std::size_t experts) {
  ExpertPlan plan;
  PlanExperts(experts_TK, slots, experts, plan);
  return plan;
}

void PlanExperts(std::span<const std::int32_t> experts_TK,
                 std::size_t slots,
                 std::size_t experts,
                 ExpertPlan& plan) {
  plan.slots = slots;
  plan.start_E1.assign(experts + 1, 0);
  for (const std::int32_t e : experts_TK)
    ++plan.start_E1[static_cast<std::size_t>(e) + 1];
  for (std::size_t e = 0; e < experts; ++e)
    plan.start_E1[e + 1] += plan.start_E1[e];
  thread_local std::vector<std::size_t> next;
  next.assign(plan.start_E1.begin(), plan.start_E1.end() - 1);
  plan.from_S.resize(experts_TK.size());
  plan.place_S.resize(experts_TK.size());
  for (std::size_t i = 0; i < experts_TK.size(); ++i) {
    const std::size_t place = next[static_cast<std::size_t>(experts_TK[i])]++;
    plan.from_S[place] = i;
    plan.place_S[i] = place;
  }
}

template <class T>
void Dispatch(const Cpu& cpu, const ExpertPlan& plan, Rows<const T> x_TH, Rows<T> sent_SH) {
  EachRow(cpu, plan.from_S.size(), x_TH.width, [&](std::size_t s) {
    std::copy_n(x_TH[plan.from_S[s] / plan.slots], x_TH.width, sent_SH[s]);
  });
}

template <class T>
void Combine(const Cpu& cpu,
             const ExpertPlan& plan,
             Rows<const T> sent_SH,
             const float* weights_TK,
             Rows<T> y_TH) {
  const auto weighted_sum = OpsOf<T>(cpu).weighted_sum;
  const std::vector<float> ones(weights_TK == nullptr ? plan.slots : 0, 1.0F);
  EachRow(cpu, y_TH.count, y_TH.width * plan.slots, [&](std::size_t t) {
    thread_local std::vector<const T*> rows;
    rows.resize(plan.slots);
    for (std::size_t k = 0; k < plan.slots; ++k)
      rows[k] = sent_SH[plan.place_S[t * plan.slots + k]];
    weighted_sum(rows.data(), weights_TK == nullptr ? ones.data() : weights_TK + t * plan.slots,
                 plan.slots, y_TH.width, y_TH[t]);
  });
}

template <class T>
void GroupedGemm(const Cpu& cpu,
                 const ExpertPlan& plan,
                 Rows<const T> x,
                 std::span<const PackedMatrix* const> weights_E,
                 Rows<T> y) {
  const GemmKernels& kernels = GemmKernelsFor(cpu.target());
  const auto kernel = std::is_same_v<T, Bf16> ? kernels.bf16_to_bf16 : kernels.fp32;
  Grouped(
      cpu, plan, x, y, weights_E[0]->panels(),
      [&](std::size_t e) -> const PackedMatrix& { return *weights_E[e]; }, kernel);
}

template <class T>
void GroupedGateUpSwiGlu(const Cpu& cpu,
                         const ExpertPlan& plan,
                         Rows<const T> x,
                         std::span<const PackedGateUp* const> weights_E,
                         Rows<T> y) {
  const GemmKernels& kernels = GemmKernelsFor(cpu.target());
  const auto kernel = std::is_same_v<T, Bf16> ? kernels.bf16_swiglu : kernels.fp32_swiglu;
  Grouped(
      cpu, plan, x, y, weights_E[0]->both().panels() / 2,
      [&](std::size_t e) -> const PackedMatrix& { return weights_E[e]->both(); }, kernel);
}

template <class T>
void RunExperts(const Cpu& cpu,
                const ExpertPlan& plan,
                Rows<const T> x_TH,
                const float* weights_TK,
                std::span<const PackedGateUp* const> gate_up_E,
                std::span<const PackedMatrix* const> down_E,
                Rows<T> y_TH) {
  const std::size_t sent = plan.from_S.size();
  const std::size_t wide = gate_up_E[0]->intermediate();
  auto* memory = static_cast<T*>(
      ThreadScratch(ScratchSlot::kState, sent * (2 * x_TH.width + wide) * sizeof(T)));
  const Rows<T> in(memory, sent, x_TH.width);
  const Rows<T> out(memory + sent * x_TH.width, sent, x_TH.width);
  const Rows<T> act(memory + 2 * sent * x_TH.width, sent, wide);
  Dispatch(cpu, plan, x_TH, in);
  GroupedGateUpSwiGlu<T>(cpu, plan, in, gate_up_E, act);
  GroupedGemm<T>(cpu, plan, act, down_E, out);
  Combine<T>(cpu, plan, out, weights_TK, y_TH);
}

template <class T>
void GroupedWeightGradient(const Cpu& cpu,
                           const ExpertPlan& plan,
                           Rows<const T> dy,
                           Rows<const T> x,
                           std::span<const Rows<float>> dw_E) {
  for (std::size_t e = 0; e < dw_E.size(); ++e) {
    const std::size_t first = plan.start_E1[e];
    const std::size_t rows = plan.start_E1[e + 1] - first;
    if (rows == 0) continue;
    WeightGradient(cpu, Rows<const T>(dy[first], rows, dy.width, dy.stride),
                   Rows<const T>(x[first], rows, x.width, x.stride), dw_E[e]);
  }
}

template <class T>
void CombineBackward(const Cpu& cpu,
                     const ExpertPlan& plan,
                     Rows<const T> sent_SH,
                     const float* weights_TK,
                     Rows<const T> dy_TH,
                     Rows<T> dsent_SH,
                     float* dweights_TK) {
  const RowOps<T>& ops = OpsOf<T>(cpu);
  EachRow(cpu, plan.from_S.size(), dy_TH.width, [&](std::size_t s) {
    const std::size_t i = plan.from_S[s];
    const T* dy = dy_TH[i / plan.slots];
    dweights_TK[i] = ops.dot(dy, sent_SH[s], dy_TH.width);
    ops.scale(dy, weights_TK[i], dy_TH.width, dsent_SH[s]);
  });
}

#define AHA_FOR(T)                                                                               \
  template void Dispatch<T>(const Cpu&, const ExpertPlan&, Rows<const T>, Rows<T>);              \
  template void Combine<T>(const Cpu&, const ExpertPlan&, Rows<const T>, const float*, Rows<T>); \
  template void GroupedGemm<T>(const Cpu&, const ExpertPlan&, Rows<const T>,                     \
                               std::span<const PackedMatrix* const>, Rows<T>);                   \
  template void GroupedGateUpSwiGlu<T>(const Cpu&, const ExpertPlan&, Rows<const T>,             \
                                       std::span<const PackedGateUp* const>, Rows<T>);           \
  template void RunExperts<T>(const Cpu&, const ExpertPlan&, Rows<const T>, const float*,        \
                              std::span<const PackedGateUp* const>,                              \
                              std::span<const PackedMatrix* const>, Rows<T>);                    \
  template void GroupedWeightGradient<T>(const Cpu&, const ExpertPlan&, Rows<const T>,           \
                                         Rows<const T>, std::span<const Rows<float>>);           \
  template void CombineBackward<T>(const Cpu&, const ExpertPlan&, Rows<const T>, const float*,   \
                                   Rows<const T>, Rows<T>, float*);
AHA_FOR(Bf16)
AHA_FOR(float)
#undef AHA_FOR

}  // namespace aha::policy::cpu
