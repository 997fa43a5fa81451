#include "policy/kernels/cpu/attention_backward.h"

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
  return call;
}

}  // namespace

template <class T>
void AttentionBackward(const Cpu& cpu, const AttentionGradientArgs<T>& args) {
  const Working working(cpu.clock(), Work::kAttentionGradient);
  const std::size_t sequences = args.start_S1.size() - 1;
  void (*kernel)(const AttentionGradientCall<T>&) = nullptr;
  if constexpr (std::is_same_v<T, Bf16>) {
    kernel = GradientKernelsFor(cpu.target()).attention_bf16;
  } else {
    kernel = GradientKernelsFor(cpu.target()).attention_fp32;
  }
  // Time grows with the square of a sequence's length.
  std::vector<std::size_t> cost(sequences * args.kv_heads + 1, 0);
  for (std::size_t i = 0; i + 1 < cost.size(); ++i) {
    const auto length = static_cast<std::size_t>(args.start_S1[i / args.kv_heads + 1] -
                                                 args.start_S1[i / args.kv_heads]);
    cost[i + 1] = cost[i] + length * (length + 64);
  }
  if (cost.back() == 0) return;
  const std::size_t parts = cpu.pool().shares();
  cpu.pool().ParallelFor(parts, 1, [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = 0; i + 1 < cost.size(); ++i) {
      const std::size_t part = (cost[i] + cost[i + 1]) / 2 * parts / cost.back();
      if (part >= begin && part < end) kernel(CallOf(args, i / args.kv_heads, i % args.kv_heads));
    }
  });
}
template void AttentionBackward<Bf16>(const Cpu&, const AttentionGradientArgs<Bf16>&);
template void AttentionBackward<float>(const Cpu&, const AttentionGradientArgs<float>&);

}  // namespace aha::policy::cpu
