#pragma once
/// A layer's routed experts in three steps: dispatch (rows sorted by expert), products by expert,
/// combine (each token's slots added in order on its own row). A token's result does not depend on
/// which tokens share its experts.
///
/// Shapes: T tokens, H hidden, I intermediate width of an expert, E experts, K slots, S = T * K
/// sent rows.

#include <cstdint>
#include <span>
#include <vector>

#include "policy/kernels/cpu/cpu.h"
#include "policy/kernels/cpu/packed_matrix.h"

namespace aha::policy::cpu {

/// Sent rows by expert, in order of tokens (then slots) inside an expert.
struct ExpertPlan {
  std::size_t slots = 0;
  std::vector<std::size_t> start_E1;  ///< [E + 1]: first sent row of each expert
  std::vector<std::size_t> from_S;    ///< token * K + slot of each sent row
  std::vector<std::size_t> place_S;   ///< sent row of each token * K + slot
};
ExpertPlan PlanExperts(std::span<const std::int32_t> experts_TK,
                       std::size_t slots,
                       std::size_t experts);
/// The same into a plan whose memory is used again.
void PlanExperts(std::span<const std::int32_t> experts_TK,
                 std::size_t slots,
                 std::size_t experts,
                 ExpertPlan& plan);

/// Each sent row is its token's.
template <class T>
void Dispatch(const Cpu& cpu, const ExpertPlan& plan, Rows<const T> x_TH, Rows<T> sent_SH);
/// y = T(sum over slots in order of weight * sent row), in fp32; weights of 1 if null.
template <class T>
void Combine(const Cpu& cpu,
             const ExpertPlan& plan,
             Rows<const T> sent_SH,
             const float* weights_TK,
             Rows<T> y_TH);

/// y = x W_e^T, e the expert of the sent row.
template <class T>
void GroupedGemm(const Cpu& cpu,
                 const ExpertPlan& plan,
                 Rows<const T> x,
                 std::span<const PackedMatrix* const> weights_E,
                 Rows<T> y);
/// As GateUpSwiGlu, by expert.
template <class T>
void GroupedGateUpSwiGlu(const Cpu& cpu,
                         const ExpertPlan& plan,
                         Rows<const T> x,
                         std::span<const PackedGateUp* const> weights_E,
                         Rows<T> y);

/// All of it for inference: y = sum over slots of weight * down(silu(gate x) * up x).
template <class T>
void RunExperts(const Cpu& cpu,
                const ExpertPlan& plan,
                Rows<const T> x_TH,
                const float* weights_TK,
                std::span<const PackedGateUp* const> gate_up_E,
                std::span<const PackedMatrix* const> down_E,
                Rows<T> y_TH);

/// dW_e += dy^T x over the sent rows of each expert, in order of tokens; as WeightGradient.
template <class T>
void GroupedWeightGradient(const Cpu& cpu,
                           const ExpertPlan& plan,
                           Rows<const T> dy,
                           Rows<const T> x,
                           std::span<const Rows<float>> dw_E);

/// Combine's gradient: dsent = T(weight * dy of its token), dweights = dy . sent.
template <class T>
void CombineBackward(const Cpu& cpu,
                     const ExpertPlan& plan,
                     Rows<const T> sent_SH,
                     const float* weights_TK,
                     Rows<const T> dy_TH,
                     Rows<T> dsent_SH,
                     float* dweights_TK);

}  // namespace aha::policy::cpu
