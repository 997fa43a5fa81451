// SwiGLU networks: of dense layers, and shared by all tokens of MoE layers.

#include "policy/kernels/cpu/gemm.h"
#include "policy/kernels/cpu/ops.h"
#include "policy/kernels/cpu/weight_gradient.h"
#include "policy/model/block.h"

namespace aha::policy {

using cpu::Read;

template <class T>
void RunNetwork(const BlockContext& context,
                const PackedNetwork& network,
                Rows<const T> x,
                NetworkTape<T>& tape,
                Workspace& memory,
                Rows<T> y) {
  const cpu::Cpu& cpu = context.cpu;
  const cpu::Working working(cpu.clock(), cpu::Work::kNetwork);
  tape.act = context.scratch->TakeRows<T>(x.count, network.gate_up.intermediate());
  if (context.record || !network.gate_up_bias.empty()) {
    const cpu::PackedMatrix& both = network.gate_up.both();
    tape.both = memory.TakeRows<T>(x.count, both.n());
    cpu::Gemm(cpu, x, both, tape.both,
              network.gate_up_bias.empty() ? nullptr : network.gate_up_bias.data());
    cpu::SwiGlu<T>(cpu, tape.both, tape.act);
  } else {
    cpu::GateUpSwiGlu(cpu, x, network.gate_up, tape.act);
  }
  cpu::Gemm(cpu, Read(tape.act), network.down.matrix, y, network.down.bias_data());
}

template <class T>
void GateUpGradient(const cpu::Cpu& cpu,
                    Rows<const T> split,
                    Rows<const T> x,
                    Rows<float> dgate,
                    Rows<float> dup) {
  if (dup.data == dgate.data + dgate.count * dgate.width) {  // one after the other: as one matrix
    cpu::WeightGradient(cpu, split, x, Rows<float>(dgate.data, 2 * dgate.count, dgate.width));
    return;
  }
  cpu::WeightGradient(cpu, cpu::Columns(split, 0, dgate.count), x, dgate);
  cpu::WeightGradient(cpu, cpu::Columns(split, dgate.count, dup.count), x, dup);
}

template <class T>
void RunNetworkBackward(const BlockContext& context,
                        const PackedNetwork& network,
                        const NetworkParts& parts,
                        Rows<const T> x,
                        const NetworkTape<T>& tape,
                        Rows<const T> dy,
                        const BlockGradients& gradients,
                        Workspace& memory,
                        Rows<float> dx) {
  const cpu::Cpu& cpu = context.cpu;
  const cpu::Working working(cpu.clock(), cpu::Work::kInputGradient);
  const std::size_t wide = network.gate_up.intermediate();
  const Rows<T> dact = memory.TakeRows<T>(x.count, wide);
  cpu::Gemm(cpu, dy, network.down.transposed, dact);
  const Rows<T> act = memory.TakeRows<T>(x.count, wide);
  cpu::SwiGlu<T>(cpu, tape.both, act);
  cpu::WeightGradient(cpu, dy, Read(act), gradients.weight(parts.down));
  const Rows<T> dboth = memory.TakeRows<T>(x.count, tape.both.width);
  cpu::SwiGluBackward<T>(cpu, tape.both, dact, dboth);
  const Rows<T> split = memory.TakeRows<T>(x.count, 2 * wide);
  cpu::SplitGateUp<T>(cpu, dboth, split);
  GateUpGradient<T>(cpu, split, x, gradients.weight(parts.gate), gradients.weight(parts.up));
  if (float* bias = gradients.bias(parts.gate)) {
    cpu::BiasGradient<T>(cpu, cpu::Columns(split, 0, wide), bias);
    cpu::BiasGradient<T>(cpu, cpu::Columns(split, wide, wide), gradients.bias(parts.up));
    cpu::BiasGradient<T>(cpu, dy, gradients.bias(parts.down));
  }
  cpu::GemmAdd(cpu, Read(dboth), network.gate_up_transposed, dx);
}

#define AHA_FOR(T)                                                                            \
  template void RunNetwork<T>(const BlockContext&, const PackedNetwork&, Rows<const T>,       \
                              NetworkTape<T>&, Workspace&, Rows<T>);                          \
  template void GateUpGradient<T>(const cpu::Cpu&, Rows<const T>, Rows<const T>, Rows<float>, \
                                  Rows<float>);                                               \
  template void RunNetworkBackward<T>(                                                        \
      const BlockContext&, const PackedNetwork&, const NetworkParts&, Rows<const T>,          \
      const NetworkTape<T>&, Rows<const T>, const BlockGradients&, Workspace&, Rows<float>);
AHA_FOR(cpu::Bf16)
AHA_FOR(float)
#undef AHA_FOR

}  // namespace aha::policy
