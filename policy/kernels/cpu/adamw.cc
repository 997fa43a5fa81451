#include "policy/kernels/cpu/adamw.h"

#include <algorithm>
#include <vector>

#include "policy/kernels/cpu/ops_kernels.h"

namespace aha::policy::cpu {

template <class M>
void AdamWUpdate(const Cpu& cpu,
                 const AdamWStep& step,
                 Rows<float> master,
                 Rows<const float> gradient,
                 Rows<M> first,
                 Rows<M> second,
                 PackedMatrix* packed,
                 PackedMatrix* transposed) {
  const OpsKernels& ops = OpsKernelsFor(cpu.target());
  constexpr std::size_t kPanel = PackedMatrix::kPanel;
  const AdamWFactors factors = {
      step.beta1,    step.beta2,    step.epsilon,       step.rate, 1.0F - step.rate * step.decay,
      step.correct1, step.correct2, step.gradient_scale};
  // Whole panels of 32 rows a thread: no two write one cache line of the packed forms.
  const std::size_t panels = (master.count + kPanel - 1) / kPanel;
  cpu.pool().ParallelFor(panels, 1, [&](std::size_t begin, std::size_t end) {
    std::vector<Bf16> rounded(master.width);
    for (std::size_t n = begin * kPanel; n < std::min(end * kPanel, master.count); ++n) {
      if constexpr (std::is_same_v<M, Bf16>) {
        ops.adamw_bf16(factors, gradient[n], master.width, master[n], first[n], second[n]);
      } else {
        ops.adamw_fp32(factors, gradient[n], master.width, master[n], first[n], second[n]);
      }
      if (packed == nullptr && transposed == nullptr) continue;
      ops.bf16.from_fp32(master[n], master.width, rounded.data());
      for (PackedMatrix* form : {packed, transposed}) {
        if (form == nullptr) continue;
        const bool turned = form == transposed;
        if (form->kind() == NumberKind::kBf16) {
          const Rows<const Bf16> row(rounded.data(), 1, master.width);
          turned ? form->PackColumns(n, row) : form->Pack(n, row);
        } else {
          const Rows<const float> row(master[n], 1, master.width);
          turned ? form->PackColumns(n, row) : form->Pack(n, row);
        }
      }
    }
  });
}
template void AdamWUpdate<Bf16>(const Cpu&,
                                const AdamWStep&,
                                Rows<float>,
                                Rows<const float>,
                                Rows<Bf16>,
                                Rows<Bf16>,
                                PackedMatrix*,
                                PackedMatrix*);
template void AdamWUpdate<float>(const Cpu&,
                                 const AdamWStep&,
                                 Rows<float>,
                                 Rows<const float>,
                                 Rows<float>,
                                 Rows<float>,
                                 PackedMatrix*,
                                 PackedMatrix*);

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
