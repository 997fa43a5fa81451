#pragma once
/// Which experts a token goes to, and with what weight: DeepSeek-V3's gate (arXiv:2412.19437, section 2.1.2) and softmax
/// gates. Everything is fp32 and on the token's own row.
///
/// Shapes: T tokens, E routed experts, K experts a token (slots).

#include <cstdint>
#include <span>

#include "policy/kernels/cpu/cpu.h"
#include "policy/kernels/cpu/packed_matrix.h"

namespace aha::policy::cpu {

struct RouterRule {
  enum class Score : std::uint8_t { kSigmoid, kSoftmax };
  enum class GroupScore : std::uint8_t { kTwoBest, kBest };

  Score score = Score::kSigmoid;
  std::size_t experts_per_token = 0;  ///< K
  std::size_t groups = 1;             ///< of E / groups experts each, side by side
  std::size_t kept_groups = 1;        ///< experts outside the best groups are not chosen
  GroupScore group_score = GroupScore::kTwoBest;
  bool normalise = true;  ///< weights over their sum + 1e-20
  float scaling = 1;
};

/// Logits [T, E] = x W_g^T with x widened to fp32; the gate is packed as fp32.
template <class T>
void RouterLogits(const Cpu& cpu,
                  Rows<const T> x,
                  const PackedMatrix& gate_EH,
                  Rows<float> logits_TE);

/// Chooses by score + bias (selection only; may be null), largest first, the lower expert among
/// equals; weights come from the scores. `scores_TE` takes the scores, if given.
void Route(const Cpu& cpu,
           Rows<const float> logits_TE,
           const float* bias_E,
           const RouterRule& rule,
           std::span<std::int32_t> experts_TK,
           std::span<float> weights_TK,
           float* scores_TE = nullptr);

/// Gradient of the logits from the gradient of the weights; the choice itself has none. Writes all
/// of dlogits.
void RouteBackward(const Cpu& cpu,
                   Rows<const float> scores_TE,
                   const RouterRule& rule,
                   std::span<const std::int32_t> experts_TK,
                   std::span<const float> dweights_TK,
                   Rows<float> dlogits_TE);

}  // namespace aha::policy::cpu
