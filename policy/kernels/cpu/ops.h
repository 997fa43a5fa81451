#pragma once
/// Operators on rows: norms, rotary, SwiGLU, embedding, and their gradients. Arithmetic is fp32;
/// bf16 is rounded where Hugging Face's separate operators round. Norm weights and biases come as
/// fp32. T is Bf16 or float.
///
/// Shapes: T tokens, H hidden, D width of a head, I intermediate width, P positions.

#include <cstdint>
#include <span>

#include "policy/kernels/cpu/cpu.h"
#include "policy/kernels/cpu/packed_matrix.h"

namespace aha::policy::cpu {

/// Heads side by side inside rows that may hold more: head a of row t at rows[t] + a * apart,
/// `width` numbers.
template <class T>
struct Heads {
  Rows<T> rows;
  std::size_t count = 1;
  std::size_t width = 0;
  std::size_t apart = 0;
};

/// y = weight * T(x / sqrt(mean(x^2) + eps)). `scale_T`, if given, takes 1 / sqrt(...) of each row.
/// x and y may be one.
template <class T>
void RmsNorm(const Cpu& cpu,
             Rows<const T> x,
             const float* weight_H,
             float eps,
             Rows<T> y,
             float* scale_T = nullptr);
/// residual += x, then y = RmsNorm(residual).
template <class T>
void AddRmsNorm(const Cpu& cpu,
                Rows<const T> x,
                Rows<T> residual,
                const float* weight_H,
                float eps,
                Rows<T> y);
/// Each head normed by itself, in place (q and k norms).
template <class T>
void HeadRmsNorm(const Cpu& cpu, Heads<T> x, const float* weight_D, float eps);
/// dx (not added to), and dweight += sum over tokens in order.
template <class T>
void RmsNormBackward(const Cpu& cpu,
                     Rows<const T> x,
                     Rows<const T> dy,
                     const float* weight_H,
                     float eps,
                     Rows<T> dx,
                     float* dweight_H);

/// y = a + b.
template <class T>
void Add(const Cpu& cpu, Rows<const T> a, Rows<const T> b, Rows<T> y);

enum class Pairing : std::uint8_t {
  kInterleaved,  ///< (x_2j, x_2j+1): DeepSeek's files
  kHalves,       ///< (x_j, x_j+D/2): Llama, Qwen2
};
/// Turns each pair of each head by its token's angle, in place; `back` turns the other way, which
/// is the gradient.
///
/// @param cos_PD, sin_PD  fp32 [P, D/2], scaled as YaRN wants.
template <class T>
void Rotate(const Cpu& cpu,
            Heads<T> x,
            std::span<const std::int32_t> positions_T,
            Rows<const float> cos_PD,
            Rows<const float> sin_PD,
            Pairing pairing,
            bool back = false);

/// y = silu(gate) * up. `both` [T, ...] is laid out as PackedGateUp: 32 of gate, 32 of up, in turn.
template <class T>
void SwiGlu(const Cpu& cpu, Rows<const T> both, Rows<T> y);
/// Gradient of both from dy; columns that pad I to a multiple of 32 become zero.
template <class T>
void SwiGluBackward(const Cpu& cpu, Rows<const T> both, Rows<const T> dy, Rows<T> dboth);

/// Rows of a table by id.
template <class T>
void Embed(const Cpu& cpu,
           std::span<const std::int32_t> ids_T,
           const PackedMatrix& table_VH,
           Rows<T> y);
/// dtable[id] += dy of each token, tokens in order. fp32 [V, H].
template <class T>
void EmbedBackward(const Cpu& cpu,
                   std::span<const std::int32_t> ids_T,
                   Rows<const T> dy,
                   Rows<float> dtable);

}  // namespace aha::policy::cpu
