#include "grpo/learner.h"

#include <algorithm>
#include <cmath>
#include <map>

#include <fmt/format.h>

namespace aha::grpo {
namespace {

std::int64_t Length(const Sample& s) {
  return static_cast<std::int64_t>(s.prompt.size() + s.completion.size());
}

// Samples of one prompt side by side, in the order in which prompts come.
std::vector<policy::PromptGroup> GroupsOf(const std::vector<const Sample*>& samples) {
  std::vector<policy::PromptGroup> groups;
  std::map<std::vector<std::int32_t>, std::size_t> group_of;
  for (std::size_t i = 0; i < samples.size(); ++i) {
    const auto [place, is_new] = group_of.emplace(samples[i]->prompt, groups.size());
    if (is_new) groups.push_back({{}, static_cast<std::int64_t>(samples[i]->prompt.size())});
    groups[place->second].members.push_back(i);
  }
  return groups;
}

std::vector<policy::SharedMicroBatch> Cut(const policy::PolicyConfig& config,
                                          const std::vector<const Sample*>& samples,
                                          std::int64_t budget) {
  std::vector<std::int64_t> lengths;
  lengths.reserve(samples.size());
  for (const Sample* s : samples)
    lengths.push_back(Length(*s));
  if (policy::SharesContexts(config))
    return policy::CutSharedMicroBatches(GroupsOf(samples), lengths, budget);
  std::vector<policy::SharedMicroBatch> cuts;
  for (std::vector<std::size_t>& members : policy::CutMicroBatches(lengths, budget))
    cuts.emplace_back().members = std::move(members);
  return cuts;
}

Status Check(const policy::PolicyConfig& config, const std::vector<Sample>& samples) {
  for (const Sample& s : samples) {
    if (s.prompt.empty() || s.completion.empty())
      return Fail(Code::kInvalidArgument, "a sample has an empty prompt or completion");
    if (s.rollout_logprobs.size() != s.completion.size()) {
      return Fail(Code::kInvalidArgument, "a sample has {} tokens and {} log-probabilities",
                  s.completion.size(), s.rollout_logprobs.size());
    }
    if (Length(s) > config.max_position_embeddings) {
      return Fail(Code::kInvalidArgument, "a sample has {} tokens, the model takes {}", Length(s),
                  config.max_position_embeddings);
    }
    for (const auto* ids : {&s.prompt, &s.completion}) {
      for (const std::int32_t id : *ids) {
        if (id >= 0 && id < config.vocab_size) continue;
        return Fail(Code::kInvalidArgument,
                    "a sample holds token id {}, outside the model's vocabulary of {}", id,
                    config.vocab_size);
      }
    }
    if (!s.advantages.empty() && s.advantages.size() != s.completion.size()) {
      return Fail(Code::kInvalidArgument, "a sample has {} tokens and {} advantages",
                  s.completion.size(), s.advantages.size());
    }
    const bool finite = std::all_of(s.advantages.begin(), s.advantages.end(),
                                    [](float a) { return std::isfinite(a); });
    if (!finite || !std::isfinite(s.advantage))
      return Fail(Code::kInternal, "an advantage is not finite");
  }
  return {};
}

}  // namespace

namespace {

// Nothing of its loss has a gradient.
bool Idle(const Sample& s, const ObjectiveRule& rule) {
  if (rule.mask_truncated && s.truncated) return true;
  if (rule.kl > 0) return false;
  if (s.advantages.empty()) return s.advantage == 0;
  return std::all_of(s.advantages.begin(), s.advantages.end(), [](float a) { return a == 0; });
}

// "; TENSOR of the weights holds NaN or infinity", where one does.
std::string WithTensor(const policy::Weights& weights) {
  const std::string tensor = policy::FirstNotFinite(weights);
  return tensor.empty() ? tensor : fmt::format("; {} of the weights holds NaN or infinity", tensor);
}

std::string Text(double value) {  // -nan is NaN
  return std::isnan(value) ? "NaN" : fmt::format("{}", value);
}

template <class Values>
std::size_t FirstNotFinite(const Values& values) {
  return static_cast<std::size_t>(
      std::find_if(values.begin(), values.end(), [](float v) { return !std::isfinite(v); }) -
      values.begin());
}

std::string NotFinite(std::size_t sample,
                      std::size_t token,
                      float logprob,
                      const policy::Weights& weights) {
  return fmt::format("the log-probability of sample {}, token {} is {}{}", sample, token,
                     Text(logprob), WithTensor(weights));
}

policy::TargetSequences SequencesOf(const std::vector<const Sample*>& samples,
                                    const policy::SharedMicroBatch& batch) {
  policy::TargetSequences sequences;
  sequences.shared = batch.shared;
  sequences.continued = batch.continued;
  sequences.open = batch.open;
  for (const std::size_t i : batch.members) {
    auto& ids = sequences.ids_S.emplace_back(samples[i]->prompt);
    ids.insert(ids.end(), samples[i]->completion.begin(), samples[i]->completion.end());
    sequences.first_S.push_back(static_cast<std::int64_t>(samples[i]->prompt.size()));
  }
  return sequences;
}

}  // namespace

// What the samples of a step add up to.
struct Learner::Totals {
  ObjectiveSums sums;
  double entropy = 0, difference = 0;
  LearnReport report;
};

// The samples of one mini-batch that have a gradient, and the denominators of the whole of it: they
// are taken before idle samples leave and before it is cut into micro-batches.
struct Learner::MiniBatch {
  std::vector<const Sample*> busy;
  std::vector<std::size_t> number;  // of each busy sample among the step's
  bool on_policy = false;           // the weights are those that sampled
  std::vector<const std::vector<float>*>
      old;  // of each busy sample; empty: what the rollout recorded
  Denominators denominators;
  double mtp_tokens = 0;
};

Learner::Learner(policy::Weights& weights,
                 const policy::cpu::Cpu& cpu,
                 const LearnerOptions& options)
    : weights_(weights),
      config_(weights.config()),
      options_(options),
      update_(weights, cpu, options.adamw, options.bias_rate, options.most_tape_bytes) {}

std::vector<std::vector<float>> Learner::LogprobsBy(const policy::Weights& weights,
                                                    const std::vector<Sample>& samples) const {
  std::vector<const Sample*> all;
  for (const Sample& s : samples)
    all.push_back(&s);
  policy::TargetLogprobs logprobs(weights, update_.cpu());
  std::vector<std::vector<float>> out(samples.size());
  for (const auto& batch : Cut(config_, all, options_.micro_batch_tokens)) {
    const std::vector<float> logprob_N =
        logprobs.Of(SequencesOf(all, batch), static_cast<float>(options_.temperature));
    const float* from = logprob_N.data();
    for (const std::size_t i : batch.members) {
      out[i].assign(from, from + samples[i].completion.size());
      from += samples[i].completion.size();
    }
  }
  return out;
}

Result<std::vector<std::vector<double>>> Learner::KlPenalties(const std::vector<Sample>& samples,
                                                              const policy::Weights& reference,
                                                              KlEstimate estimate) const {
  AHA_TRY(Check(config_, samples));
  const std::vector<std::vector<float>> of_reference = LogprobsBy(reference, samples);
  std::vector<std::vector<double>> penalties(samples.size());
  for (std::size_t i = 0; i < samples.size(); ++i) {
    for (std::size_t t = 0; t < of_reference[i].size(); ++t) {
      penalties[i].push_back(
          KlOf(estimate, double{of_reference[i][t]} - double{samples[i].rollout_logprobs[t]})
              .value);
    }
  }
  return penalties;
}

Result<std::vector<float>> Learner::SlopesOf(const MiniBatch& batch,
                                             const std::vector<std::size_t>& members,
                                             std::span<const float> logprob_N,
                                             std::span<const float> entropy_N,
                                             std::span<const float> reference_N,
                                             Totals& totals) const {
  std::vector<float> slope_N(logprob_N.size());
  std::size_t at = 0;
  for (const std::size_t i : members) {
    const Sample& s = *batch.busy[i];
    const std::size_t length = s.completion.size();
    CompletionView<float> c;
    c.logprob_T = logprob_N.subspan(at, length);
    c.old_T = batch.old.empty() ? std::span<const float>(s.rollout_logprobs)
                                : std::span<const float>(*batch.old[i]);
    c.sampler_T = s.rollout_logprobs;
    if (!reference_N.empty()) c.reference_T = reference_N.subspan(at, length);
    c.advantage = s.advantage;
    c.advantage_T = s.advantages;
    c.truncated = s.truncated;
    if (const std::size_t t = FirstNotFinite(c.logprob_T); t < length) {
      totals.report.not_finite = NotFinite(batch.number[i], t, c.logprob_T[t], weights_);
      return std::vector<float>(logprob_N.size(), 0.0F);
    }
    const auto slope_T = std::span(slope_N).subspan(at, length);
    const ObjectiveSums sums = Objective<float>(options_.rule, c, batch.denominators, slope_T);
    const std::size_t bad = FirstNotFinite(slope_T);
    if (!std::isfinite(sums.loss) || bad < length) {
      totals.report.not_finite = fmt::format(
          "the loss of sample {} is {} (its log-probability at token {} is {}, its advantage {})",
          batch.number[i], Text(sums.loss), std::min(bad, length - 1),
          c.logprob_T[std::min(bad, length - 1)], s.advantage);
      return std::vector<float>(logprob_N.size(), 0.0F);
    }
    totals.sums.Add(sums);
    for (std::size_t t = 0; t < length; ++t) {
      if (!entropy_N.empty()) totals.entropy += entropy_N[at + t];
      if (batch.on_policy || !batch.old.empty())
        totals.difference += std::abs(double{c.old_T[t]} - double{s.rollout_logprobs[t]});
    }
    at += length;
  }
  return slope_N;
}

Status Learner::TakeKnown(const MiniBatch& batch,
                          const std::vector<std::size_t>& members,
                          const policy::TargetValues& values,
                          Totals& totals) const {
  std::size_t at = 0;
  for (const std::size_t i : members) {
    const std::vector<float>& recorded = batch.busy[i]->rollout_logprobs;
    const auto found = std::span(values.logprob_N).subspan(at, recorded.size());
    if (const std::size_t t = FirstNotFinite(found); t < found.size()) {
      totals.report.not_finite = NotFinite(batch.number[i], t, found[t], weights_);
      return {};
    }
    for (std::size_t t = 0; t < found.size(); ++t) {
      totals.entropy += values.entropy_N[at + t];
      if (found[t] == recorded[t]) continue;
      return Fail(
          Code::kInternal,
          "sample {}, token {}: the rollout recorded a log-probability of {:.9g}, the learner "
          "computes {:.9g} from the same "
          "weights; the two must be equal bit for bit (did kernels, target or weights differ?)",
          batch.number[i], t, recorded[t], found[t]);
    }
    at += found.size();
  }
  return {};
}

Status Learner::AddMicroBatch(const MiniBatch& batch,
                              const policy::SharedMicroBatch& micro,
                              policy::TargetLogprobs* reference,
                              Totals& totals) {
  const policy::TargetSequences sequences = SequencesOf(batch.busy, micro);
  const std::vector<std::size_t>& members = micro.members;
  const auto temperature = static_cast<float>(options_.temperature);
  std::vector<float> reference_N;
  if (reference != nullptr) reference_N = reference->Of(sequences, temperature);
  policy::SideLosses side;
  side.balance = options_.balance_loss / batch.denominators.sequences;
  side.mtp = batch.mtp_tokens > 0 ? options_.mtp_loss / batch.mtp_tokens : 0;
  side.mtp_to_trunk = options_.mtp_to_trunk;
  if (batch.on_policy) {
    // The weights are those that sampled: this pass finds what the rollout recorded (law 1), so the
    // slopes need not wait for it.
    std::vector<float> recorded_N;
    for (const std::size_t i : members) {
      const std::vector<float>& recorded = batch.busy[i]->rollout_logprobs;
      recorded_N.insert(recorded_N.end(), recorded.begin(), recorded.end());
    }
    AHA_ASSIGN(const std::vector<float> slope_N,
               SlopesOf(batch, members, recorded_N, {}, reference_N, totals));
    if (!totals.report.not_finite.empty()) return {};
    policy::TargetValues values;
    update_.AddKnown(sequences, temperature, side, slope_N, values);
    return TakeKnown(batch, members, values, totals);
  }
  const auto slopes_of = [&](const policy::Targets&, std::span<const float> logprob_N,
                             std::span<const float> entropy_N) {
    return SlopesOf(batch, members, logprob_N, entropy_N, reference_N, totals);
  };
  AHA_TRY(update_.Add(sequences, temperature, /*entropies=*/true, side, slopes_of));
  return {};
}

Status Learner::RunMiniBatch(const std::vector<Sample>& samples,
                             std::size_t begin,
                             std::size_t end,
                             bool on_policy,
                             const std::vector<std::vector<float>>& old,
                             policy::TargetLogprobs* reference,
                             double learning_rate,
                             Totals& totals) {
  MiniBatch batch;
  batch.on_policy = on_policy;
  for (std::size_t i = begin; i < end; ++i) {
    const Sample& s = samples[i];
    batch.denominators.Add(options_.rule, static_cast<std::int64_t>(s.completion.size()),
                           s.truncated);
    batch.mtp_tokens += static_cast<double>(
        policy::CountMtpTargets(Length(s), static_cast<std::int64_t>(s.prompt.size())));
    if (options_.rule.mask_truncated && s.truncated) ++totals.report.masked_samples;
    if (Idle(s, options_.rule)) {
      ++totals.report.idle_samples;
      continue;
    }
    batch.busy.push_back(&s);
    batch.number.push_back(i);
    if (!old.empty()) batch.old.push_back(&old[i]);
  }
  if (batch.busy.empty()) return {};
  for (const auto& micro : Cut(config_, batch.busy, options_.micro_batch_tokens)) {
    if (Status added = AddMicroBatch(batch, micro, reference, totals); !added) {
      update_.Drop();
      return added;
    }
    if (totals.report.not_finite.empty()) continue;
    update_.Drop();
    return {};
  }
  auto finished = update_.Finish(learning_rate);
  if (!finished) {
    totals.report.not_finite =
        finished.error().message;  // the only way it fails; it has dropped the gradients
    return {};
  }
  totals.report.update = std::move(*finished);
  return {};
}

Result<LearnReport> Learner::Step(const std::vector<Sample>& samples,
                                  const policy::Weights* reference,
                                  double learning_rate) {
  const auto before = [](const Sample& a, const Sample& b) { return a.order < b.order; };
  if (std::is_sorted(samples.begin(), samples.end(), before))
    return StepInOrder(samples, reference, learning_rate);
  std::vector<Sample> sorted = samples;
  std::stable_sort(sorted.begin(), sorted.end(), before);
  return StepInOrder(sorted, reference, learning_rate);
}

Result<LearnReport> Learner::StepInOrder(const std::vector<Sample>& samples,
                                         const policy::Weights* reference,
                                         double learning_rate) {
  AHA_TRY(Check(config_, samples));
  if (options_.rule.kl > 0 && reference == nullptr)
    return Fail(Code::kInternal, "kl > 0 needs a reference policy");
  std::optional<policy::TargetLogprobs> reference_logprobs;
  if (options_.rule.kl > 0) reference_logprobs.emplace(*reference, update_.cpu());
  std::vector<std::vector<float>> old;
  if (options_.rule.off_policy != OffPolicy::kNone) old = LogprobsBy(weights_, samples);
  Totals totals;
  const auto updates = static_cast<std::size_t>(options_.updates);
  bool on_policy = old.empty();
  for (std::size_t u = 0; u < updates && totals.report.not_finite.empty(); ++u) {
    const std::size_t begin = samples.size() * u / updates;
    const std::size_t end = samples.size() * (u + 1) / updates;
    if (begin == end) continue;
    AHA_TRY(RunMiniBatch(samples, begin, end, on_policy, old,
                         reference_logprobs ? &*reference_logprobs : nullptr, learning_rate,
                         totals));
    if (totals.sums.tokens > 0) on_policy = false;
  }
  const ObjectiveSums& sums = totals.sums;
  LearnReport& report = totals.report;
  report.tokens = static_cast<std::int64_t>(sums.tokens);
  report.loss = sums.loss / static_cast<double>(options_.updates);
  report.dropped_samples = static_cast<std::int64_t>(sums.dropped);
  report.ratio_max = sums.ratio_max;
  const double tokens = std::max(1.0, sums.tokens);
  report.entropy = totals.entropy / tokens;
  report.rollout_difference = totals.difference / tokens;
  report.kl = sums.kl_k3 / tokens;
  report.kl_k1 = sums.kl_k1 / tokens;
  report.kl_k2 = sums.kl_k2 / tokens;
  report.clip_low = sums.clipped_low / tokens;
  report.clip_high = sums.clipped_high / tokens;
  report.clip_dual = sums.clipped_dual / tokens;
  report.clip_fraction = report.clip_low + report.clip_high + report.clip_dual;
  report.off_policy_cut = sums.off_policy_cut / tokens;
  if (sums.tokens > 0) {
    report.ratio_mean = sums.ratio / tokens;
    report.off_policy_weight = sums.off_policy / tokens;
  }
  return report;
}

}  // namespace aha::grpo
