#include "policy/kernels/cpu/attention_backward.h"

#include <algorithm>
#include <vector>

#include "policy/kernels/cpu/gradient_kernels.h"

namespace aha::policy::cpu {
namespace {

template <class T>
AttentionGradientCall<T> CallOf(const AttentionGradientArgs<T>& a,
                                std::size_t sequence,
                                std::size_t head) {
  const auto first = static_cast<std::size_t>(a.start_S1[sequence]);
  AttentionGradientCall<T> call;
  call.length = static_cast<std::size_t>(a.start_S1[sequence + 1]) - first;
  call.group = a.heads / a.kv_heads;
  call.key_width = a.key_width;
  call.value_width = a.value_width;
  call.latent = a.latent;
  call.scale = a.scale;
  const std::size_t query = head * call.group;
  call.q = a.q[first] + query * a.key_width;
  call.k = a.k[first] + head * a.key_width;
  call.y = a.y[first] + query * a.value_width;
  call.dy = a.dy[first] + query * a.value_width;
  call.lse = a.lse_TA + first * a.heads + query;
  call.dq = a.dq[first] + query * a.key_width;
  call.dk = a.dk[first] + head * a.key_width;
  if (!a.latent) {
    call.v = a.v[first] + head * a.value_width;
    call.dv = a.dv[first] + head * a.value_width;
  }
  call.q_stride = a.q.stride;
  call.k_stride = a.k.stride;
  call.v_stride = a.v.stride;
  call.y_stride = a.y.stride;
  call.lse_stride = a.heads;
  call.dk_sum_stride = a.dk_sum.stride;
  call.dv_sum_stride = a.dv_sum.stride;
  return call;
}

// Sequences [first, end) that one thread does in turn: one alone, or those of a context and then
// the context itself.
struct Turn {
  std::size_t first = 0, end = 0;
  const SharedContext* shared = nullptr;
  std::size_t cost = 0;  // of a head
};

template <class T>
std::vector<Turn> TurnsOf(const AttentionGradientArgs<T>& a) {
  const auto length = [&](std::size_t s) {
    return static_cast<std::size_t>(a.start_S1[s + 1] - a.start_S1[s]);
  };
  std::vector<Turn> turns;
  auto shared = a.contexts.begin();
  for (std::size_t s = 0; s + 1 < a.start_S1.size();) {
    Turn turn{s, s + 1};
    if (shared != a.contexts.end() && shared->first == s) {
      turn.shared = &*shared++;
      turn.end = turn.shared->context + 1;
    }
    const std::size_t context = turn.shared == nullptr ? 0 : length(turn.shared->context);
    // Time grows with the square of a sequence's length.
    for (; s < turn.end; ++s) {
      const bool goes_on = turn.shared != nullptr && s < turn.shared->context;
      turn.cost += length(s) * (length(s) + 64 + (goes_on ? 2 * context : 0));
    }
    turns.push_back(turn);
  }
  return turns;
}

template <class T>
void RunTurn(const AttentionGradientArgs<T>& a,
             const Turn& turn,
             std::size_t head,
             void (*kernel)(const AttentionGradientCall<T>&)) {
  if (turn.shared == nullptr) {
    kernel(CallOf(a, turn.first, head));
    return;
  }
  AttentionGradientCall<T> own = CallOf(a, turn.shared->context, head);
  float* dk = a.dk_sum[turn.shared->sum_row] + head * a.key_width;
  float* dv = a.dv_sum[turn.shared->sum_row] + head * a.value_width;
  for (std::size_t s = turn.first; s < turn.shared->context; ++s) {
    AttentionGradientCall<T> call = CallOf(a, s, head);
    call.context = own.length;
    call.k_context = own.k;
    call.v_context = own.v;
    call.dk_context = dk;
    call.dv_context = dv;
    kernel(call);
  }
  if (a.open && turn.end + 1 == a.start_S1.size()) return;
  own.dk_from = dk;
  own.dv_from = dv;
  kernel(own);
}

}  // namespace

template <class T>
void AttentionBackward(const Cpu& cpu, const AttentionGradientArgs<T>& args) {
  const Working working(cpu.clock(), Work::kAttentionGradient);
  void (*kernel)(const AttentionGradientCall<T>&) = nullptr;
  if constexpr (std::is_same_v<T, Bf16>) {
    kernel = GradientKernelsFor(cpu.target()).attention_bf16;
  } else {
    kernel = GradientKernelsFor(cpu.target()).attention_fp32;
  }
  const std::vector<Turn> turns = TurnsOf(args);
  std::vector<std::size_t> cost(turns.size() * args.kv_heads + 1, 0);
  for (std::size_t i = 0; i + 1 < cost.size(); ++i)
    cost[i + 1] = cost[i] + turns[i / args.kv_heads].cost;
  if (cost.back() == 0) return;
  const std::size_t parts = cpu.pool().shares();
  cpu.pool().ParallelFor(parts, 1, [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = 0; i + 1 < cost.size(); ++i) {
      const std::size_t part = (cost[i] + cost[i + 1]) / 2 * parts / cost.back();
      if (part >= begin && part < end)
        RunTurn(args, turns[i / args.kv_heads], i % args.kv_heads, kernel);
    }
  });
}
template void AttentionBackward<Bf16>(const Cpu&, const AttentionGradientArgs<Bf16>&);
template void AttentionBackward<float>(const Cpu&, const AttentionGradientArgs<float>&);

}  // namespace aha::policy::cpu
