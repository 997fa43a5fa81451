#pragma once
/// The sequence-wise balance loss (V3, arXiv:2412.19437, eq. 17-20): sum over experts of f_i P_i, with f_i the share of a
/// sequence's tokens that choose expert i by their unbiased scores (times E / K, no gradient), P_i
/// the mean of its scores, each token's divided by their sum.
///
/// Shapes: T tokens of a ragged batch, S sequences, E experts.

#include <cstdint>
#include <span>

#include "policy/kernels/cpu/router.h"

namespace aha::policy {

/// Sum over sequences.
double BalanceLoss(const cpu::Cpu& cpu,
                   cpu::Rows<const float> scores_TE,
                   std::span<const std::int64_t> start_S1,
                   std::size_t experts_per_token);

/// dlogits += alpha times the gradient of BalanceLoss.
void AddBalanceGradient(const cpu::Cpu& cpu,
                        cpu::Rows<const float> scores_TE,
                        std::span<const std::int64_t> start_S1,
                        const cpu::RouterRule& rule,
                        float alpha,
                        cpu::Rows<float> dlogits_TE);

}  // namespace aha::policy
