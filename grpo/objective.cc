#include "grpo/objective.h"

#include <algorithm>
#include <cmath>

namespace aha::grpo {

double K3(double logprob, double reference) {
  const double d = reference - logprob;
  return std::exp(d) - d - 1;
}

TokenLoss GrpoLoss(const TokenTerms& token, const ObjectiveRule& rule) {
  TokenLoss out;
  out.ratio = std::exp(double{token.logprob} - token.old);
  const double free = out.ratio * token.advantage;
  const double clipped =
      std::clamp(out.ratio, 1 - rule.clip_low, 1 + rule.clip_high) * token.advantage;
  out.clipped = clipped < free;
  double loss = -std::min(free, clipped);
  double slope = out.clipped ? 0 : -free;  // d rho / d logprob = rho; what is clipped is constant
  if (rule.kl > 0) {
    out.kl = K3(token.logprob, token.reference);
    loss += rule.kl * out.kl;
    slope += rule.kl * (1 - std::exp(double{token.reference} - token.logprob));
  }
  out.loss = token.weight * loss;
  out.slope = token.weight * slope;
  return out;
}

}  // namespace aha::grpo
