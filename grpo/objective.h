#pragma once
/// The objectives of reinforcement learning, taken apart into pieces: ratio, clip, aggregation, KL,
/// off-policy weight. GRPO, DAPO, Dr. GRPO, GSPO, CISPO, RLOO and REINFORCE++ are choices of them.
///
/// Everything is by one completion at a time, and what couples completions (denominators,
/// advantages) is worked out from the whole batch before. So no cut into micro-batches changes a
/// result. Inside it is float64, whatever goes in and out.
///
/// Shapes: T tokens of a completion.

#include <cstdint>
#include <span>

namespace aha::grpo {

/// What is clipped: pi over pi_old.
enum class Ratio : std::uint8_t {
  kToken,          ///< rho_t of each token (GRPO)
  kSequence,       ///< s = exp(mean of log rho_t), one for all tokens (GSPO, eq. 7)
  kSequenceToken,  ///< s in value, rho_t / sg(rho_t) in gradient (GSPO-token)
  kProduct,        ///< exp(sum of log rho_t): the ratio of whole completions (RLOO)
};

enum class Clip : std::uint8_t {
  kTwoSided,  ///< J = min(rho A, clip(rho, 1 - low, 1 + high) A) (PPO)
  kWeight,    ///< J = sg(clip(rho, 1 - low, 1 + high)) A log pi (CISPO)
  kNone,      ///< J = rho A
};

/// How token losses become the loss of a batch of S completions with N tokens in all.
enum class Aggregation : std::uint8_t {
  kSequence,     ///< mean over a completion's tokens, then over completions (GRPO)
  kToken,        ///< sum over all tokens / N (DAPO)
  kSequenceSum,  ///< sum over all tokens / S
  kConstant,     ///< sum over all tokens / (S L), L a constant (Dr. GRPO)
};

/// Estimates of KL(pi || reference) by d = log reference - log pi (Schulman, "Approximating KL
/// divergence"): k1 = -d, k2 = d^2 / 2, k3 = exp(d) - d - 1.
enum class KlEstimate : std::uint8_t { kK1, kK2, kK3 };

/// Weight against the difference of sampler and learner, u = pi_old / pi_sampler; a constant for
/// the gradient.
enum class OffPolicy : std::uint8_t {
  kNone,      ///< 1
  kTruncate,  ///< min(u, max)
  kMask,      ///< u inside [min, max], else 0
};

struct ObjectiveRule {
  Ratio ratio = Ratio::kToken;
  Clip clip = Clip::kTwoSided;
  double clip_low = 0.2;   ///< ratios below 1 - clip_low are clipped
  double clip_high = 0.2;  ///< ratios above 1 + clip_high are clipped
  double dual_clip =
      0;  ///< J is at least dual_clip * A where A < 0 (two-sided only); 0: no such floor
  Aggregation aggregation = Aggregation::kSequence;
  double length = 1;  ///< L of kConstant
  double kl = 0;      ///< weight of the KL estimate in the loss
  KlEstimate kl_estimate = KlEstimate::kK3;
  bool kl_times_ratio =
      false;  ///< the estimate times rho_t, which has a gradient too (DeepSeek-V3.2)
  OffPolicy off_policy = OffPolicy::kNone;
  bool off_policy_sequence = false;  ///< u of the whole completion (product over tokens)
  double off_policy_min = 0;
  double off_policy_max = 2;
  /// Completions whose mean of log(pi_sampler / pi) is above this lose the tokens with A < 0
  /// (DeepSeek-V3.2); 0: none does.
  double off_policy_drop = 0;
  bool mask_truncated = false;  ///< completions cut by the length limit have no loss
};

/// One completion. Real is float or double.
template <class Real>
struct CompletionView {
  std::span<const Real> logprob_T;    ///< log pi
  std::span<const Real> old_T;        ///< log pi_old
  std::span<const Real> reference_T;  ///< log pi_ref; empty: no reference
  std::span<const Real> sampler_T;    ///< log-probabilities that the sampler recorded; empty: old_T
  double advantage = 0;
  std::span<const Real> advantage_T;  ///< one a token; empty: `advantage` for all
  bool truncated = false;             ///< by the length limit
};

/// What the loss is divided by: the whole batch's, added up before it is cut.
struct Denominators {
  double sequences = 0;
  double tokens = 0;
  /// A completion of so many tokens joins; the tokens of one that is masked do not count.
  void Add(const ObjectiveRule& rule, std::int64_t length, bool truncated);
  /// What each token's loss counts in a completion of so many tokens.
  [[nodiscard]] double Share(const ObjectiveRule& rule, std::int64_t length) const;
};

/// Sums over the tokens of one completion or, added up, of many.
struct ObjectiveSums {
  double loss = 0;  ///< weighted: the completions' losses add up to the batch's
  double tokens = 0;
  double clipped_low = 0, clipped_high = 0;  ///< tokens whose clipped branch was taken, by side
  double clipped_dual = 0;                   ///< by dual_clip
  double ratio = 0, ratio_max = 0;
  double kl_k1 = 0, kl_k2 = 0, kl_k3 = 0;  ///< to the reference, unweighted; 0 without one
  double off_policy = 0;                   ///< weights u as applied
  double off_policy_cut = 0;               ///< tokens whose u was out of range
  double dropped = 0;                      ///< completions by off_policy_drop
  double masked = 0;                       ///< completions by mask_truncated
  void Add(const ObjectiveSums& other);
};

/// The loss of one completion, to be minimised, and into `slope_T` its derivative by each log pi.
/// A completion without tokens, or one that is masked, has neither. Log-ratios above 20 go on
/// linearly, so that one token cannot overflow. Spans that are given have T elements each.
template <class Real>
ObjectiveSums Objective(const ObjectiveRule& rule,
                        const CompletionView<Real>& completion,
                        const Denominators& denominators,
                        std::span<Real> slope_T);

extern template ObjectiveSums Objective<float>(const ObjectiveRule&,
                                               const CompletionView<float>&,
                                               const Denominators&,
                                               std::span<float>);
extern template ObjectiveSums Objective<double>(const ObjectiveRule&,
                                                const CompletionView<double>&,
                                                const Denominators&,
                                                std::span<double>);

/// An estimate of KL at d = log reference - log pi, and its derivative by log pi.
struct KlValue {
  double value = 0, slope = 0;
};
KlValue KlOf(KlEstimate estimate, double d);

}  // namespace aha::grpo
