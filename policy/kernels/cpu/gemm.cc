#include "policy/kernels/cpu/gemm.h"

#include <algorithm>

#include "policy/kernels/cpu/gemm_kernels.h"

namespace aha::policy::cpu {
namespace {

using Function = void (*)(const GemmCall&);

// Panels are shared out if there are enough of them, else rows.
void Run(const Cpu& cpu,
         const GemmCall& call,
         std::size_t panels,
         std::size_t x_size,
         std::size_t y_size,
         Function function) {
  constexpr std::size_t kSmall = std::size_t{1}
                                 << 16;  // products that are not worth a second thread
  const auto threads = static_cast<std::size_t>(cpu.threads());
  if (threads == 1 || call.rows * call.w->n() * call.w->k() < kSmall) {
    GemmCall whole = call;
    whole.panel_end = panels;
    function(whole);
  } else if (panels >= 4 * threads || panels >= call.rows) {
    cpu.pool().ParallelFor(panels, call.rows <= 4 ? 4 : 1, [&](std::size_t begin, std::size_t end) {
      GemmCall part = call;
      part.panel_begin = begin;
      part.panel_end = end;
      // The shares between are the other threads'.
      const std::size_t next = end + (threads - 1) * (end - begin);
      if (next < panels) part.then = call.w->panel(next * (call.w->panels() / panels));
      function(part);
    });
  } else {
    cpu.pool().ParallelFor(call.rows, 24, [&](std::size_t begin, std::size_t end) {
      GemmCall part = call;
      part.panel_end = panels;
      part.x = static_cast<const std::byte*>(call.x) + begin * call.x_stride * x_size;
      part.y = static_cast<std::byte*>(call.y) + begin * call.y_stride * y_size;
      part.rows = end - begin;
      function(part);
    });
  }
}

template <class In, class Out>
GemmCall CallOf(const Rows<const In>& x, const PackedMatrix& w, const Rows<Out>& y) {
  GemmCall call;
  call.x = x.data;
  call.x_stride = x.stride;
  call.rows = x.count;
  call.w = &w;
  call.n = y.width;
  call.y = y.data;
  call.y_stride = y.stride;
  return call;
}

template <class In, class Out>
void RunGemm(const Cpu& cpu,
             const Rows<const In>& x,
             const PackedMatrix& w,
             const Rows<Out>& y,
             const float* bias,
             bool add,
             Function function) {
  GemmCall call = CallOf(x, w, y);
  call.bias = bias;
  call.add = add;
  Run(cpu, call, w.panels(), sizeof(In), sizeof(Out), function);
}

// Heads are shared out, and rows too where there are more threads than heads.
template <class T>
void RunHeads(const Cpu& cpu,
              const Rows<const T>& x,
              std::size_t x_apart,
              std::span<const PackedMatrix* const> w_A,
              const Rows<T>& y,
              std::size_t y_apart,
              Function function) {
  const std::size_t heads = w_A.size();
  if (heads == 0 || x.count == 0) return;
  const auto threads = static_cast<std::size_t>(cpu.threads());
  const std::size_t cuts = std::min(x.count, (threads + heads - 1) / heads);
  constexpr std::size_t kSmall = std::size_t{1} << 16;
  const std::size_t work = heads * x.count * w_A[0]->n() * w_A[0]->k();
  const auto run = [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) {
      const std::size_t head = i / cuts;
      const Share rows = ShareOf(x.count, cuts, i % cuts);
      GemmCall call;
      call.x = x[rows.begin] + head * x_apart;
      call.x_stride = x.stride;
      call.rows = rows.end - rows.begin;
      call.w = w_A[head];
      call.panel_end = call.w->panels();
      call.n = call.w->n();
      call.y = y[rows.begin] + head * y_apart;
      call.y_stride = y.stride;
      function(call);
    }
  };
  if (work < kSmall) {
    run(0, heads * cuts);
  } else {
    cpu.pool().ParallelFor(heads * cuts, 1, run);
  }
}

}  // namespace

void GemmHeads(const Cpu& cpu,
               Rows<const Bf16> x,
               std::size_t x_apart,
               std::span<const PackedMatrix* const> w_A,
               Rows<Bf16> y,
               std::size_t y_apart) {
  RunHeads(cpu, x, x_apart, w_A, y, y_apart, GemmKernelsFor(cpu.target()).bf16_to_bf16);
}
void GemmHeads(const Cpu& cpu,
               Rows<const float> x,
               std::size_t x_apart,
               std::span<const PackedMatrix* const> w_A,
               Rows<float> y,
               std::size_t y_apart) {
  RunHeads(cpu, x, x_apart, w_A, y, y_apart, GemmKernelsFor(cpu.target()).fp32);
}

void Gemm(const Cpu& cpu,
          Rows<const Bf16> x,
          const PackedMatrix& w,
          Rows<Bf16> y,
          const float* bias) {
  RunGemm(cpu, x, w, y, bias, false, GemmKernelsFor(cpu.target()).bf16_to_bf16);
}
void Gemm(const Cpu& cpu,
          Rows<const Bf16> x,
          const PackedMatrix& w,
          Rows<float> y,
          const float* bias) {
  RunGemm(cpu, x, w, y, bias, false, GemmKernelsFor(cpu.target()).bf16_to_fp32);
}
void Gemm(const Cpu& cpu,
          Rows<const float> x,
          const PackedMatrix& w,
          Rows<float> y,
          const float* bias) {
  RunGemm(cpu, x, w, y, bias, false, GemmKernelsFor(cpu.target()).fp32);
}
void GemmAdd(const Cpu& cpu, Rows<const Bf16> x, const PackedMatrix& w, Rows<float> y) {
  RunGemm(cpu, x, w, y, nullptr, true, GemmKernelsFor(cpu.target()).bf16_to_fp32);
}
void GemmAdd(const Cpu& cpu, Rows<const float> x, const PackedMatrix& w, Rows<float> y) {
  RunGemm(cpu, x, w, y, nullptr, true, GemmKernelsFor(cpu.target()).fp32);
}

void GateUpSwiGlu(const Cpu& cpu, Rows<const Bf16> x, const PackedGateUp& w, Rows<Bf16> y) {
  Run(cpu, CallOf(x, w.both(), y), w.both().panels() / 2, sizeof(Bf16), sizeof(Bf16),
      GemmKernelsFor(cpu.target()).bf16_swiglu);
}
void GateUpSwiGlu(const Cpu& cpu, Rows<const float> x, const PackedGateUp& w, Rows<float> y) {
  Run(cpu, CallOf(x, w.both(), y), w.both().panels() / 2, sizeof(float), sizeof(float),
      GemmKernelsFor(cpu.target()).fp32_swiglu);
}

}  // namespace aha::policy::cpu
