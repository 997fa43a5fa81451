#pragma once
/// Rows moved, widened, narrowed and cut: what lies between the operators. T is Bf16 or float.

#include "policy/kernels/cpu/cpu.h"
#include "policy/kernels/cpu/numbers.h"

namespace aha::policy::cpu {

/// Columns [first, first + width) of rows.
template <class T>
Rows<T> Columns(Rows<T> rows, std::size_t first, std::size_t width) {
  return {rows.data + first, rows.count, width, rows.stride};
}
template <class T>
Rows<T> FirstRows(Rows<T> rows, std::size_t count) {
  return {rows.data, count, rows.width, rows.stride};
}
template <class T>
Rows<const T> Read(Rows<T> rows) {
  return rows;
}

/// y = x. From bf16 to float exact; from float to bf16 rounded to nearest even.
template <class From, class To>
void CopyRows(const Cpu& cpu, Rows<const From> x, Rows<To> y);

/// y += x.
template <class T>
void AddRows(const Cpu& cpu, Rows<const T> x, Rows<float> y);

/// From the layout of PackedGateUp (32 of gate, 32 of up, in turn) to all of gate, then all of up:
/// [T, 2 I].
template <class T>
void SplitGateUp(const Cpu& cpu, Rows<const T> both, Rows<T> split);

/// y = s * x with s = T(sigmoid(logit)), a number a row; s is written over the logits.
template <class T>
void SwitchRows(const Cpu& cpu, Rows<const T> x, float* logit_T, Rows<T> y);
/// dx = s * dy; dlogit = (dy . x) * s * (1 - s), rounded to T.
template <class T>
void SwitchRowsBackward(const Cpu& cpu,
                        Rows<const T> x,
                        const float* s_T,
                        Rows<const T> dy,
                        Rows<T> dx,
                        T* dlogit_T);

}  // namespace aha::policy::cpu
