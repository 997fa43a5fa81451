#include "policy/kernels/cpu/weight_gradient.h"

#include "policy/kernels/cpu/gradient_kernels.h"

namespace aha::policy::cpu {
namespace {

template <class T>
void Run(const Cpu& cpu,
         const Rows<const T>& dy,
         const Rows<const T>& x,
         const Rows<float>& dw,
         void (*kernel)(const WeightGradientCall<T>&)) {
  const Working working(cpu.clock(), Work::kWeightGradient);
  cpu.pool().ParallelFor(dw.count, 48, [&](std::size_t begin, std::size_t end) {
    WeightGradientCall<T> call;
    call.dy = dy;
    call.x = x;
    call.dw = dw;
    // Rows in blocks whose staged gradients stay in the second-level cache.
    constexpr std::size_t kRows = 768;
    for (std::size_t r = begin; r < end; r += kRows) {
      call.begin = r;
      call.end = r + kRows < end ? r + kRows : end;
      kernel(call);
    }
  });
}

}  // namespace

void WeightGradient(const Cpu& cpu, Rows<const Bf16> dy, Rows<const Bf16> x, Rows<float> dw) {
  Run(cpu, dy, x, dw, GradientKernelsFor(cpu.target()).weight_bf16);
}
void WeightGradient(const Cpu& cpu, Rows<const float> dy, Rows<const float> x, Rows<float> dw) {
  Run(cpu, dy, x, dw, GradientKernelsFor(cpu.target()).weight_fp32);
}

template <class T>
void BiasGradient(const Cpu& cpu, Rows<const T> dy, float* db_N) {
  const Working working(cpu.clock(), Work::kWeightGradient);
  cpu.pool().ParallelFor(dy.width, 64, [&](std::size_t begin, std::size_t end) {
    for (std::size_t t = 0; t < dy.count; ++t) {
      for (std::size_t i = begin; i < end; ++i)
        db_N[i] += ToFloat(dy[t][i]);
    }
  });
}
template void BiasGradient<Bf16>(const Cpu&, Rows<const Bf16>, float*);
template void BiasGradient<float>(const Cpu&, Rows<const float>, float*);

}  // namespace aha::policy::cpu
