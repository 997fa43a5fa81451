#pragma once
/// GRPO's loss on token log-probabilities (DeepSeekMath, arXiv:2402.03300, eq. 3 and 4; DeepSeek-R1,
/// arXiv:2501.12948, eq. 1 and 2), to be minimised.

#include <cstdint>
#include <span>

namespace aha::grpo {

struct ObjectiveRule {
  double clip_low = 0.2;   ///< ratios below 1 - clip_low are clipped
  double clip_high = 0.2;  ///< ratios above 1 + clip_high are clipped
  double kl = 0;           ///< weight of k3 in the loss
};

/// One token, all by itself.
struct TokenTerms {
  float logprob = 0;    ///< log pi_theta
  float old = 0;        ///< log pi_old
  float reference = 0;  ///< log pi_ref; not looked at when rule.kl is 0
  double advantage = 0;
  double weight = 0;  ///< what its loss counts. Its denominators come from the whole batch before
                      ///< it is cut, so the loss of the batch is the sum over tokens
};

struct TokenLoss {
  double loss = 0;       ///< weight * (-min(rho A, clip(rho) A) + kl k3)
  double slope = 0;      ///< its derivative by logprob
  bool clipped = false;  ///< the clipped branch was taken
  double kl = 0;         ///< k3, unweighted; 0 without a reference
  double ratio = 0;      ///< rho = pi_theta / pi_old
};
TokenLoss GrpoLoss(const TokenTerms& token, const ObjectiveRule& rule);

/// k3 = exp(d) - d - 1 with d = log pi_ref - log pi_theta (Schulman, "Approximating KL
/// divergence"): never negative, its expectation under pi_theta is KL(pi_theta || pi_ref).
double K3(double logprob, double reference);

}  // namespace aha::grpo
