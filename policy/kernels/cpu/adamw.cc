#include "policy/kernels/cpu/adamw.h"

#include <algorithm>
#include <type_traits>
#include <vector>

#include "policy/kernels/cpu/ops_kernels.h"
#include "policy/kernels/cpu/packed_matrix.h"

namespace aha::policy::cpu {

template <class M>
void AdamWUpdate(const Cpu& cpu,
                 const AdamWStep& step,
                 Rows<float> master,
                 Rows<const float> gradient,
                 Rows<M> first,
                 Rows<M> second,
                 const WriteWeights& write) {
  const OpsKernels& ops = OpsKernelsFor(cpu.target());
  constexpr std::size_t kPanel = PackedMatrix::kPanel;
  const AdamWFactors factors = {
      step.beta1,    step.beta2,    step.epsilon,       step.rate, 1.0F - step.rate * step.decay,
      step.correct1, step.correct2, step.gradient_scale};
  const std::size_t panels = (master.count + kPanel - 1) / kPanel;
  cpu.pool().ParallelFor(panels, 1, [&](std::size_t begin, std::size_t end) {
    auto* memory =
        static_cast<Bf16*>(ThreadScratch(ScratchSlot::kRows, kPanel * master.width * sizeof(Bf16)));
    for (std::size_t start = begin * kPanel; start < std::min(end * kPanel, master.count);
         start += kPanel) {
      const std::size_t count = std::min(kPanel, master.count - start);
      const Rows<Bf16> rounded(memory, count, master.width);
      for (std::size_t i = 0; i < count; ++i) {
        const std::size_t n = start + i;
        if constexpr (std::is_same_v<M, Bf16>) {
          ops.adamw_bf16(factors, gradient[n], master.width, master[n], first[n], second[n]);
        } else {
          ops.adamw_fp32(factors, gradient[n], master.width, master[n], first[n], second[n]);
        }
        if (write) ops.bf16.from_fp32(master[n], master.width, rounded[i]);
      }
      if (write)
        write(start, Rows<const float>(master[start], count, master.width, master.stride), rounded);
    }
  });
}
template void AdamWUpdate<Bf16>(const Cpu&,
                                const AdamWStep&,
                                Rows<float>,
                                Rows<const float>,
                                Rows<Bf16>,
                                Rows<Bf16>,
                                const WriteWeights&);
template void AdamWUpdate<float>(const Cpu&,
                                 const AdamWStep&,
                                 Rows<float>,
                                 Rows<const float>,
                                 Rows<float>,
                                 Rows<float>,
                                 const WriteWeights&);

double SquareSum(const Cpu& cpu, std::span<const float> numbers) {
  constexpr std::size_t kBlock = std::size_t{1} << 14;
  const auto square_sum = OpsKernelsFor(cpu.target()).square_sum;
  std::vector<double> sums((numbers.size() + kBlock - 1) / kBlock, 0);
  cpu.pool().ParallelFor(sums.size(), 4, [&](std::size_t begin, std::size_t end) {
    for (std::size_t b = begin; b < end; ++b) {
      sums[b] =
          square_sum(numbers.data() + b * kBlock, std::min(kBlock, numbers.size() - b * kBlock));
    }
  });
  for (std::size_t step = 1; step < sums.size(); step *= 2) {
    for (std::size_t i = 0; i + step < sums.size(); i += 2 * step)
      sums[i] += sums[i + step];
  }
  return sums.empty() ? 0 : sums[0];
}

}  // namespace aha::policy::cpu
