#include "policy/kernels/cpu/ops.h"

#include <algorithm>
#include <vector>

#include "policy/kernels/cpu/ops_kernels.h"

namespace aha::policy::cpu {
namespace {

constexpr std::size_t kGrain = std::size_t{1} << 14;  // numbers that are worth a thread

template <class T>
const RowOps<T>& OpsOf(const Cpu& cpu) {
  if constexpr (std::is_same_v<T, Bf16>) {
    return OpsKernelsFor(cpu.target()).bf16;
  } else {
    return OpsKernelsFor(cpu.target()).fp32;
  }
}

// f(row) for every row, rows shared out.
template <class F>
void EachRow(const Cpu& cpu, std::size_t rows, std::size_t width, const F& f) {
  cpu.pool().ParallelFor(rows, std::max<std::size_t>(1, kGrain / std::max<std::size_t>(1, width)),
                         [&](std::size_t begin, std::size_t end) {
                           for (std::size_t r = begin; r < end; ++r)
                             f(r);
                         });
}

constexpr std::size_t kPanel = PackedMatrix::kPanel;

}  // namespace

template <class T>
void RmsNorm(const Cpu& cpu,
             Rows<const T> x,
             const float* weight_H,
             float eps,
             Rows<T> y,
             float* scale_T) {
  const auto norm = OpsOf<T>(cpu).rms_norm;
  EachRow(cpu, x.count, x.width, [&](std::size_t t) {
    const float scale = norm(x[t], weight_H, eps, x.width, y[t]);
    if (scale_T != nullptr) scale_T[t] = scale;
  });
}

template <class T>
void AddRmsNorm(const Cpu& cpu,
                Rows<const T> x,
                Rows<T> residual,
                const float* weight_H,
                float eps,
                Rows<T> y) {
  const auto norm = OpsOf<T>(cpu).add_rms_norm;
  EachRow(cpu, x.count, x.width,
          [&](std::size_t t) { norm(x[t], residual[t], weight_H, eps, x.width, y[t]); });
}

template <class T>
void HeadRmsNorm(const Cpu& cpu, Heads<T> x, const float* weight_D, float eps) {
  const auto norm = OpsOf<T>(cpu).rms_norm;
  EachRow(cpu, x.rows.count, x.count * x.width, [&](std::size_t t) {
    for (std::size_t a = 0; a < x.count; ++a) {
      T* head = x.rows[t] + a * x.apart;
      norm(head, weight_D, eps, x.width, head);
    }
  });
}

template <class T>
void RmsNormBackward(const Cpu& cpu,
                     Rows<const T> x,
                     Rows<const T> dy,
                     const float* weight_H,
                     float eps,
                     Rows<T> dx,
                     float* dweight_H) {
  const RowOps<T>& ops = OpsOf<T>(cpu);
  std::vector<float> scale(x.count);
  EachRow(cpu, x.count, x.width, [&](std::size_t t) {
    scale[t] = ops.rms_norm_backward(x[t], dy[t], weight_H, eps, x.width, dx[t]);
  });
  cpu.pool().ParallelFor(x.width, std::max(kPanel, kGrain / std::max<std::size_t>(1, x.count)),
                         [&](std::size_t begin, std::size_t end) {
                           ops.rms_norm_weight(x, dy, scale.data(), begin, end, dweight_H);
                         });
}

template <class T>
void Add(const Cpu& cpu, Rows<const T> a, Rows<const T> b, Rows<T> y) {
  const auto add = OpsOf<T>(cpu).add;
  EachRow(cpu, a.count, a.width, [&](std::size_t t) { add(a[t], b[t], a.width, y[t]); });
}

template <class T>
void Rotate(const Cpu& cpu,
            Heads<T> x,
            std::span<const std::int32_t> positions_T,
            Rows<const float> cos_PD,
            Rows<const float> sin_PD,
            Pairing pairing,
            bool back) {
  const auto rotate = OpsOf<T>(cpu).rotate;
  EachRow(cpu, x.rows.count, x.count * x.width, [&](std::size_t t) {
    const auto p = static_cast<std::size_t>(positions_T[t]);
    for (std::size_t a = 0; a < x.count; ++a) {
      T* head = x.rows[t] + a * x.apart;
      rotate(head, cos_PD[p], sin_PD[p], pairing == Pairing::kInterleaved, back, x.width, head);
    }
  });
}

template <class T>
void SwiGlu(const Cpu& cpu, Rows<const T> both, Rows<T> y) {
  const auto swiglu = OpsOf<T>(cpu).swiglu;
  EachRow(cpu, y.count, y.width, [&](std::size_t t) {
    for (std::size_t i = 0; i < y.width; i += kPanel) {
      swiglu(both[t] + 2 * i, both[t] + 2 * i + kPanel, std::min(kPanel, y.width - i), y[t] + i);
    }
  });
}

template <class T>
void SwiGluBackward(const Cpu& cpu, Rows<const T> both, Rows<const T> dy, Rows<T> dboth) {
  const auto backward = OpsOf<T>(cpu).swiglu_backward;
  EachRow(cpu, dy.count, dy.width, [&](std::size_t t) {
    for (std::size_t i = 0; i < dy.width; i += kPanel) {
      const std::size_t n = std::min(kPanel, dy.width - i);
      const T* gate = both[t] + 2 * i;
      T* dgate = dboth[t] + 2 * i;
      std::fill(dgate + n, dgate + kPanel, T{});
      std::fill(dgate + kPanel + n, dgate + 2 * kPanel, T{});
      backward(gate, gate + kPanel, dy[t] + i, n, dgate, dgate + kPanel);
    }
  });
}

template <class T>
void Embed(const Cpu& cpu,
           std::span<const std::int32_t> ids_T,
           const PackedMatrix& table_VH,
           Rows<T> y) {
  EachRow(cpu, ids_T.size(), y.width, [&](std::size_t t) {
    table_VH.Unpack(static_cast<std::size_t>(ids_T[t]), Rows<T>(y[t], 1, y.width));
  });
}

template <class T>
void EmbedBackward(const Cpu& cpu,
                   std::span<const std::int32_t> ids_T,
                   Rows<const T> dy,
                   Rows<float> dtable) {
  cpu.pool().ParallelFor(dy.width, kPanel, [&](std::size_t begin, std::size_t end) {
    for (std::size_t t = 0; t < ids_T.size(); ++t) {
      float* to = dtable[static_cast<std::size_t>(ids_T[t])];
      for (std::size_t i = begin; i < end; ++i)
        to[i] += ToFloat(dy[t][i]);
    }
  });
}

#define AHA_FOR(T)                                                                                 \
  template void RmsNorm<T>(const Cpu&, Rows<const T>, const float*, float, Rows<T>, float*);       \
  template void AddRmsNorm<T>(const Cpu&, Rows<const T>, Rows<T>, const float*, float, Rows<T>);   \
  template void HeadRmsNorm<T>(const Cpu&, Heads<T>, const float*, float);                         \
  template void RmsNormBackward<T>(const Cpu&, Rows<const T>, Rows<const T>, const float*, float,  \
                                   Rows<T>, float*);                                               \
  template void Add<T>(const Cpu&, Rows<const T>, Rows<const T>, Rows<T>);                         \
  template void Rotate<T>(const Cpu&, Heads<T>, std::span<const std::int32_t>, Rows<const float>,  \
                          Rows<const float>, Pairing, bool);                                       \
  template void SwiGlu<T>(const Cpu&, Rows<const T>, Rows<T>);                                     \
  template void SwiGluBackward<T>(const Cpu&, Rows<const T>, Rows<const T>, Rows<T>);              \
  template void Embed<T>(const Cpu&, std::span<const std::int32_t>, const PackedMatrix&, Rows<T>); \
  template void EmbedBackward<T>(const Cpu&, std::span<const std::int32_t>, Rows<const T>,         \
                                 Rows<float>);
AHA_FOR(Bf16)
AHA_FOR(float)
#undef AHA_FOR

}  // namespace aha::policy::cpu
