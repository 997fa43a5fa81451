#pragma once
/// The batch, the rules and the results that tests/golden/make_objective_golden.py recorded.

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/whole_file.h"
#include "grpo/objective.h"

namespace aha::grpo::golden {

using Json = nlohmann::ordered_json;
using Rows = std::vector<std::vector<double>>;

// Batch and results that tests/golden/make_objective_golden.py recorded.
inline const Json& Golden() {
  static const Json golden =
      Json::parse(ReadFile(AHA_SOURCE_DIR "/tests/grpo/golden/objectives.json").value());
  return golden;
}

inline ObjectiveRule RuleOf(const Json& json) {
  ObjectiveRule rule;
  const auto text = [&](const char* key, const char* other) {
    return json.value(key, std::string(other));
  };
  const std::string ratio = text("ratio", "token"), clip = text("clip", "two_sided"),
                    how = text("aggregation", "sequence"), estimate = text("kl_estimate", "k3"),
                    off = text("off_policy", "none");
  rule.ratio = ratio == "sequence"         ? Ratio::kSequence
               : ratio == "sequence_token" ? Ratio::kSequenceToken
               : ratio == "product"        ? Ratio::kProduct
                                           : Ratio::kToken;
  rule.clip = clip == "weight" ? Clip::kWeight : clip == "none" ? Clip::kNone : Clip::kTwoSided;
  rule.aggregation = how == "token"          ? Aggregation::kToken
                     : how == "sequence_sum" ? Aggregation::kSequenceSum
                     : how == "constant"     ? Aggregation::kConstant
                                             : Aggregation::kSequence;
  rule.kl_estimate = estimate == "k1"   ? KlEstimate::kK1
                     : estimate == "k2" ? KlEstimate::kK2
                                        : KlEstimate::kK3;
  rule.off_policy = off == "truncate" ? OffPolicy::kTruncate
                    : off == "mask"   ? OffPolicy::kMask
                                      : OffPolicy::kNone;
  rule.clip_low = json.value("clip_low", .2);
  rule.clip_high = json.value("clip_high", .2);
  rule.dual_clip = json.value("dual_clip", 0.);
  rule.length = json.value("length", 1.);
  rule.kl = json.value("kl", 0.);
  rule.kl_times_ratio = json.value("kl_times_ratio", false);
  rule.off_policy_sequence = json.value("off_policy_sequence", false);
  rule.off_policy_min = json.value("off_policy_min", 0.);
  rule.off_policy_max = json.value("off_policy_max", 2.);
  rule.off_policy_drop = json.value("off_policy_drop", 0.);
  rule.mask_truncated = json.value("mask_truncated", false);
  return rule;
}

// The golden batch in the number type that goes in and out.
template <class Real>
struct Batch {
  using RealRows = std::vector<std::vector<Real>>;
  explicit Batch(bool per_token) {
    for (const char* key : {"logprob", "old", "reference", "sampler", "advantage_t"}) {
      RealRows rows;
      for (const auto& row : Golden()[key].get<Rows>())
        rows.emplace_back(row.begin(), row.end());
      (key[0] == 'l'   ? logprob
       : key[0] == 'o' ? old
       : key[0] == 'r' ? reference
       : key[0] == 's' ? sampler
                       : advantages) = rows;
    }
    advantage = Golden()["advantage"].get<std::vector<double>>();
    truncated = Golden()["truncated"].get<std::vector<int>>();
    if (!per_token) advantages.assign(logprob.size(), {});
  }
  [[nodiscard]] CompletionView<Real> View(std::size_t i) const {
    return {logprob[i],   old[i],        reference[i],     sampler[i],
            advantage[i], advantages[i], truncated[i] != 0};
  }
  // Loss of the batch, slopes into `slopes`.
  double Evaluate(const ObjectiveRule& rule, RealRows& slopes) const {
    Denominators denominators;
    for (std::size_t i = 0; i < logprob.size(); ++i)
      denominators.Add(rule, static_cast<std::int64_t>(logprob[i].size()), truncated[i] != 0);
    double loss = 0;
    slopes.clear();
    for (std::size_t i = 0; i < logprob.size(); ++i) {
      slopes.emplace_back(logprob[i].size());
      loss += Objective<Real>(rule, View(i), denominators, slopes[i]).loss;
    }
    return loss;
  }
  RealRows logprob, old, reference, sampler, advantages;
  std::vector<double> advantage;
  std::vector<int> truncated;
};

}  // namespace aha::grpo::golden
