#pragma once
/// A penalty for text that repeats itself, by its n-grams.

#include <cstddef>
#include <string_view>

#include "rewards/reward.h"

namespace aha::rewards {

/// -max_penalty * (1 - distinct / all) over the n-grams of the completion's words; 0 when it has
/// fewer than n words. After the repetition penalty of "Demystifying Long Chain-of-Thought
/// Reasoning in
/// LLMs" (arXiv:2502.03373, appendix C.2), in the form that Open-R1 gives it
/// (`get_repetition_penalty_reward`): words are what stands between blanks, Latin case folded, so
/// that for such text the figures are Open-R1's. Where there are no blanks a Han character or a
/// kana is one word. The whole completion counts, tags and all. Pure; linear.
class RepetitionReward : public Reward {
 public:
  RepetitionReward(std::size_t n, double max_penalty) : n_(n), max_penalty_(max_penalty) {}
  [[nodiscard]] Outcome Score(const ScoreInput& input) const override;

 private:
  std::size_t n_;
  double max_penalty_;
};

/// How many n-grams a text has, and how many different ones.
struct NGrams {
  std::size_t distinct = 0;
  std::size_t all = 0;
};
NGrams CountNGrams(std::string_view text, std::size_t n);

}  // namespace aha::rewards
