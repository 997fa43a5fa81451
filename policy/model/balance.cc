#include "policy/model/balance.h"

#include <vector>

namespace aha::policy {
namespace {

using cpu::Rows;

// f_i of one sequence, rows [begin, end).
std::vector<double> ChosenShares(const Rows<const float>& scores,
                                 std::size_t begin,
                                 std::size_t end,
                                 std::size_t slots) {
  const std::size_t experts = scores.width;
  std::vector<double> share(experts, 0);
  std::vector<bool> taken(experts);
  for (std::size_t t = begin; t < end; ++t) {
    taken.assign(experts, false);
    for (std::size_t k = 0; k < slots; ++k) {
      std::size_t best = experts;
      for (std::size_t e = 0; e < experts; ++e) {
        if (!taken[e] && (best == experts || scores[t][e] > scores[t][best])) best = e;
      }
      taken[best] = true;
      share[best] += 1;
    }
  }
  const double factor = static_cast<double>(experts) /
                        (static_cast<double>(slots) * static_cast<double>(end - begin));
  for (double& f : share)
    f *= factor;
  return share;
}

// Of one token: sum of its scores, and of its scores times f.
struct TokenSums {
  double scores = 0, weighted = 0;
};
TokenSums SumsOf(const float* score, const std::vector<double>& share) {
  TokenSums sums;
  for (std::size_t e = 0; e < share.size(); ++e) {
    sums.scores += score[e];
    sums.weighted += share[e] * score[e];
  }
  return sums;
}

}  // namespace

double BalanceLoss(const cpu::Cpu& cpu,
                   Rows<const float> scores_TE,
                   std::span<const std::int64_t> start_S1,
                   std::size_t experts_per_token) {
  std::vector<double> loss_S(start_S1.size() - 1, 0);
  cpu.pool().ParallelFor(loss_S.size(), 1, [&](std::size_t first, std::size_t last) {
    for (std::size_t s = first; s < last; ++s) {
      const auto begin = static_cast<std::size_t>(start_S1[s]);
      const auto end = static_cast<std::size_t>(start_S1[s + 1]);
      const std::vector<double> share = ChosenShares(scores_TE, begin, end, experts_per_token);
      for (std::size_t t = begin; t < end; ++t) {
        const TokenSums sums = SumsOf(scores_TE[t], share);
        loss_S[s] += sums.weighted / sums.scores / static_cast<double>(end - begin);
      }
    }
  });
  double loss = 0;
  for (const double l : loss_S)
    loss += l;
  return loss;
}

void AddBalanceGradient(const cpu::Cpu& cpu,
                        Rows<const float> scores_TE,
                        std::span<const std::int64_t> start_S1,
                        const cpu::RouterRule& rule,
                        float alpha,
                        Rows<float> dlogits_TE) {
  cpu.pool().ParallelFor(start_S1.size() - 1, 1, [&](std::size_t first, std::size_t last) {
    for (std::size_t s = first; s < last; ++s) {
      const auto begin = static_cast<std::size_t>(start_S1[s]);
      const auto end = static_cast<std::size_t>(start_S1[s + 1]);
      const std::vector<double> share = ChosenShares(scores_TE, begin, end, rule.experts_per_token);
      const double weight = double{alpha} / static_cast<double>(end - begin);
      for (std::size_t t = begin; t < end; ++t) {
        const TokenSums sums = SumsOf(scores_TE[t], share);
        const double mean = sums.weighted / sums.scores;  // of f, by score
        for (std::size_t e = 0; e < share.size(); ++e) {
          const double score = scores_TE[t][e];
          const double dscore = weight * (share[e] - mean) / sums.scores;
          // A softmax's own coupling is gone: the scores' gradients add up to zero when weighted by
          // them.
          const double slope =
              rule.score == cpu::RouterRule::Score::kSigmoid ? score * (1 - score) : score;
          dlogits_TE[t][e] += static_cast<float>(dscore * slope);
        }
      }
    }
  });
}

}  // namespace aha::policy
