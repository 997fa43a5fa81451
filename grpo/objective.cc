#include "grpo/objective.h"

#include <algorithm>
#include <cmath>

namespace aha::grpo {
namespace {

constexpr double kLongestLogRatio = 20;

// exp(x), beyond kLongestLogRatio along its tangent.
struct Exponential {
  double value, slope;
};
Exponential ExpOf(double x) {
  const double value = std::exp(std::min(x, kLongestLogRatio));
  return {x > kLongestLogRatio ? value * (1 + x - kLongestLogRatio) : value, value};
}

enum class Side : std::uint8_t { kInside, kLow, kHigh, kDual };

// What is maximised at one token, and its derivative by the ratio and by log pi beside it.
struct Gain {
  double value = 0, by_ratio = 0, by_logprob = 0;
  Side side = Side::kInside;
};

Gain GainOf(const ObjectiveRule& rule, double ratio, double advantage, double logprob) {
  const double clipped = std::clamp(ratio, 1 - rule.clip_low, 1 + rule.clip_high);
  const Side side = clipped > ratio ? Side::kLow : clipped < ratio ? Side::kHigh : Side::kInside;
  switch (rule.clip) {
    case Clip::kNone:
      return {ratio * advantage, advantage, 0, Side::kInside};
    case Clip::kWeight:
      return {clipped * advantage * logprob, 0, clipped * advantage,
              advantage == 0 ? Side::kInside : side};
    case Clip::kTwoSided:
      break;
  }
  Gain gain{ratio * advantage, advantage, 0, Side::kInside};
  if (clipped * advantage < gain.value) gain = {clipped * advantage, 0, 0, side};
  if (rule.dual_clip > 0 && advantage < 0 && gain.value < rule.dual_clip * advantage) {
    gain = {rule.dual_clip * advantage, 0, 0, Side::kDual};
  }
  return gain;
}

template <class Real>
double MeanDifference(std::span<const Real> a_T, std::span<const Real> b_T) {
  double sum = 0;
  for (std::size_t t = 0; t < a_T.size(); ++t)
    sum += double{a_T[t]} - double{b_T[t]};
  return sum / static_cast<double>(a_T.size());
}

bool OutOfRange(const ObjectiveRule& rule, double u) {
  return u > rule.off_policy_max ||
         (rule.off_policy == OffPolicy::kMask && u < rule.off_policy_min);
}

double OffPolicyWeight(const ObjectiveRule& rule, double u) {
  if (!OutOfRange(rule, u)) return u;
  return rule.off_policy == OffPolicy::kTruncate ? rule.off_policy_max : 0;
}

void Count(Side side, ObjectiveSums& sums) {
  if (side == Side::kLow) ++sums.clipped_low;
  if (side == Side::kHigh) ++sums.clipped_high;
  if (side == Side::kDual) ++sums.clipped_dual;
}

}  // namespace

KlValue KlOf(KlEstimate estimate, double d) {
  switch (estimate) {
    case KlEstimate::kK1:
      return {-d, 1};
    case KlEstimate::kK2:
      return {d * d / 2, -d};
    case KlEstimate::kK3:
      break;
  }
  const Exponential e = ExpOf(d);
  return {e.value - d - 1, 1 - e.slope};
}

void Denominators::Add(const ObjectiveRule& rule, std::int64_t length, bool truncated) {
  sequences += 1;
  if (!(rule.mask_truncated && truncated)) tokens += static_cast<double>(length);
}

double Denominators::Share(const ObjectiveRule& rule, std::int64_t length) const {
  switch (rule.aggregation) {
    case Aggregation::kSequence:
      return 1 / (sequences * static_cast<double>(length));
    case Aggregation::kToken:
      return 1 / tokens;
    case Aggregation::kSequenceSum:
      return 1 / sequences;
    case Aggregation::kConstant:
      return 1 / (sequences * rule.length);
  }
  return 0;
}

void ObjectiveSums::Add(const ObjectiveSums& other) {
  loss += other.loss;
  tokens += other.tokens;
  clipped_low += other.clipped_low;
  clipped_high += other.clipped_high;
  clipped_dual += other.clipped_dual;
  ratio += other.ratio;
  ratio_max = std::max(ratio_max, other.ratio_max);
  kl_k1 += other.kl_k1;
  kl_k2 += other.kl_k2;
  kl_k3 += other.kl_k3;
  off_policy += other.off_policy;
  off_policy_cut += other.off_policy_cut;
  dropped += other.dropped;
  masked += other.masked;
}

template <class Real>
ObjectiveSums Objective(const ObjectiveRule& rule,
                        const CompletionView<Real>& c,
                        const Denominators& denominators,
                        std::span<Real> slope_T) {
  ObjectiveSums sums;
  std::fill(slope_T.begin(), slope_T.end(), Real{0});
  const std::size_t length = c.logprob_T.size();
  if (length == 0) return sums;
  if (rule.mask_truncated && c.truncated) {
    sums.masked = 1;
    return sums;
  }
  const double share = denominators.Share(rule, static_cast<std::int64_t>(length));
  const auto sampler_T = c.sampler_T.empty() ? c.old_T : c.sampler_T;
  const double factor = rule.ratio == Ratio::kProduct ? static_cast<double>(length) : 1;
  const bool whole = rule.ratio == Ratio::kSequence || rule.ratio == Ratio::kProduct;
  Exponential sequence{1, 1};
  if (rule.ratio != Ratio::kToken) sequence = ExpOf(MeanDifference(c.logprob_T, c.old_T) * factor);
  double shift = 0;  // log of the completion's u
  if (rule.off_policy_sequence) {
    shift = MeanDifference(c.old_T, sampler_T) * static_cast<double>(length);
  }
  const bool drop =
      rule.off_policy_drop > 0 && MeanDifference(sampler_T, c.logprob_T) > rule.off_policy_drop;
  sums.tokens = static_cast<double>(length);
  double by_sequence = 0;  // derivative of the loss by the log of the sequence's ratio
  for (std::size_t t = 0; t < length; ++t) {
    const double logprob = c.logprob_T[t], old = c.old_T[t];
    const double advantage = c.advantage_T.empty() ? c.advantage : double{c.advantage_T[t]};
    const Exponential own = ExpOf(logprob - old);
    const Exponential ratio = rule.ratio == Ratio::kToken ? own : sequence;
    const Gain gain = GainOf(rule, ratio.value, advantage, logprob);
    double weight = 1;
    if (rule.off_policy != OffPolicy::kNone) {
      const double u = ExpOf(rule.off_policy_sequence ? shift : old - double{sampler_T[t]}).value;
      weight = OffPolicyWeight(rule, u);
      sums.off_policy_cut += OutOfRange(rule, u) ? 1 : 0;
    }
    sums.off_policy += weight;
    if (drop && advantage < 0) {
      weight = 0;
      sums.dropped = 1;
    }
    double loss = -weight * gain.value;
    double slope = -weight * gain.by_logprob;
    const double by_log_ratio = -weight * gain.by_ratio * ratio.slope;
    (whole ? by_sequence : slope) += by_log_ratio;
    if (!c.reference_T.empty()) {
      const double d = double{c.reference_T[t]} - logprob;
      sums.kl_k1 += -d;
      sums.kl_k2 += d * d / 2;
      sums.kl_k3 += KlOf(KlEstimate::kK3, d).value;
      if (rule.kl > 0) {
        KlValue kl = KlOf(rule.kl_estimate, d);
        if (rule.kl_times_ratio) {
          kl = {own.value * kl.value, own.slope * kl.value + own.value * kl.slope};
        }
        loss += rule.kl * kl.value;
        slope += rule.kl * kl.slope;
      }
    }
    Count(gain.side, sums);
    sums.ratio += ratio.value;
    sums.ratio_max = std::max(sums.ratio_max, ratio.value);
    sums.loss += share * loss;
    slope_T[t] = static_cast<Real>(share * slope);
  }
  if (whole) {
    const double each = share * by_sequence * factor / static_cast<double>(length);
    for (Real& slope : slope_T)
      slope = static_cast<Real>(double{slope} + each);
  }
  return sums;
}

template ObjectiveSums Objective<float>(const ObjectiveRule&,
                                        const CompletionView<float>&,
                                        const Denominators&,
                                        std::span<float>);
template ObjectiveSums Objective<double>(const ObjectiveRule&,
                                         const CompletionView<double>&,
                                         const Denominators&,
                                         std::span<double>);

}  // namespace aha::grpo
