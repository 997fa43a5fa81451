#include "policy/kernels/cpu/rows.h"

#include <algorithm>
#include <type_traits>

#include "policy/kernels/cpu/ops_kernels.h"
#include "policy/kernels/cpu/packed_matrix.h"

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
  constexpr std::size_t kGrain = std::size_t{1} << 15;  // numbers that are worth a thread
  const std::size_t grain = std::max<std::size_t>(1, kGrain / std::max<std::size_t>(1, width));
  cpu.pool().ParallelFor(rows, grain, [&](std::size_t begin, std::size_t end) {
    for (std::size_t r = begin; r < end; ++r)
      f(r);
  });
}

}  // namespace

template <class From, class To>
void CopyRows(const Cpu& cpu, Rows<const From> x, Rows<To> y) {
  EachRow(cpu, x.count, x.width, [&](std::size_t t) {
    if constexpr (std::is_same_v<From, To>) {
      std::copy_n(x[t], x.width, y[t]);
    } else if constexpr (std::is_same_v<To, float>) {
      OpsOf<From>(cpu).to_fp32(x[t], x.width, y[t]);
    } else {
      OpsOf<To>(cpu).from_fp32(x[t], x.width, y[t]);
    }
  });
}

template <class T>
void AddRows(const Cpu& cpu, Rows<const T> x, Rows<float> y) {
  EachRow(cpu, x.count, x.width, [&](std::size_t t) {
    const T* from = x[t];
    float* to = y[t];
    for (std::size_t i = 0; i < x.width; ++i)
      to[i] += ToFloat(from[i]);
  });
}

template <class T>
void SplitGateUp(const Cpu& cpu, Rows<const T> both, Rows<T> split) {
  constexpr std::size_t kPanel = PackedMatrix::kPanel;
  const std::size_t wide = split.width / 2;
  EachRow(cpu, split.count, split.width, [&](std::size_t t) {
    for (std::size_t i = 0; i < wide; i += kPanel) {
      const std::size_t n = std::min(kPanel, wide - i);
      std::copy_n(both[t] + 2 * i, n, split[t] + i);
      std::copy_n(both[t] + 2 * i + kPanel, n, split[t] + wide + i);
    }
  });
}

template <class T>
void SwitchRows(const Cpu& cpu, Rows<const T> x, float* logit_T, Rows<T> y) {
  OpsKernelsFor(cpu.target()).sigmoid(logit_T, x.count, logit_T);
  EachRow(cpu, x.count, x.width, [&](std::size_t t) {
    logit_T[t] = ToFloat(FromFloat<T>(logit_T[t]));
    OpsOf<T>(cpu).scale(x[t], logit_T[t], x.width, y[t]);
  });
}

template <class T>
void SwitchRowsBackward(const Cpu& cpu,
                        Rows<const T> x,
                        const float* s_T,
                        Rows<const T> dy,
                        Rows<T> dx,
                        T* dlogit_T) {
  EachRow(cpu, x.count, x.width, [&](std::size_t t) {
    const float slope = OpsOf<T>(cpu).dot(dy[t], x[t], x.width);
    dlogit_T[t] = FromFloat<T>(slope * s_T[t] * (1 - s_T[t]));
    OpsOf<T>(cpu).scale(dy[t], s_T[t], x.width, dx[t]);
  });
}

#define AHA_FOR(T)                                                                            \
  template void AddRows<T>(const Cpu&, Rows<const T>, Rows<float>);                           \
  template void SplitGateUp<T>(const Cpu&, Rows<const T>, Rows<T>);                           \
  template void SwitchRows<T>(const Cpu&, Rows<const T>, float*, Rows<T>);                    \
  template void SwitchRowsBackward<T>(const Cpu&, Rows<const T>, const float*, Rows<const T>, \
                                      Rows<T>, T*);
AHA_FOR(Bf16)
AHA_FOR(float)
#undef AHA_FOR
template void CopyRows<Bf16, Bf16>(const Cpu&, Rows<const Bf16>, Rows<Bf16>);
template void CopyRows<float, float>(const Cpu&, Rows<const float>, Rows<float>);
template void CopyRows<Bf16, float>(const Cpu&, Rows<const Bf16>, Rows<float>);
template void CopyRows<float, Bf16>(const Cpu&, Rows<const float>, Rows<Bf16>);

}  // namespace aha::policy::cpu
