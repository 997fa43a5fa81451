#include "grpo/learner.h"

#include <algorithm>
#include <cmath>

namespace aha::grpo {
namespace {

std::int64_t Length(const Sample& s) {
  return static_cast<std::int64_t>(s.prompt.size() + s.completion.size());
}

std::vector<std::vector<std::size_t>> Cut(const std::vector<const Sample*>& samples,
                                          std::int64_t budget) {
  std::vector<std::int64_t> lengths;
  lengths.reserve(samples.size());
  for (const Sample* s : samples)
    lengths.push_back(Length(*s));
  return policy::CutMicroBatches(lengths, budget);
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
    if (!std::isfinite(s.advantage)) return Fail(Code::kInternal, "an advantage is not finite");
  }
  return {};
}

}  // namespace

// The samples of one mini-batch that have a gradient, and the denominators of the whole of it: they
// are taken before idle samples leave and before it is cut into micro-batches.
struct Learner::MiniBatch {
  std::vector<const Sample*> busy;
  std::vector<std::size_t> number;  // of each busy sample among the step's
  bool on_policy = false;           // the weights are those that sampled
  double sequences = 0;
  double tokens = 0;
  double mtp_tokens = 0;
};

Learner::Learner(policy::Weights& weights,
                 const policy::cpu::Cpu& cpu,
                 const LearnerOptions& options)
    : config_(weights.config()),
      options_(options),
      update_(weights, cpu, options.adamw, options.bias_rate) {}

Result<std::vector<float>> Learner::SlopesOf(const MiniBatch& batch,
                                             const std::vector<std::size_t>& members,
                                             std::span<const float> logprob_N,
                                             std::span<const float> entropy_N,
                                             std::span<const float> reference_N,
                                             LearnReport& report) const {
  std::vector<float> slope_N;
  slope_N.reserve(logprob_N.size());
  const double loss_share = 1.0 / static_cast<double>(options_.updates);
  for (const std::size_t i : members) {
    const Sample& s = *batch.busy[i];
    const auto length = static_cast<double>(s.completion.size());
    for (std::size_t t = 0; t < s.completion.size(); ++t) {
      const std::size_t n = slope_N.size();
      TokenTerms token;
      token.logprob = logprob_N[n];
      token.old = s.rollout_logprobs[t];
      token.reference = reference_N.empty() ? 0 : reference_N[n];
      token.advantage = s.advantage;
      token.weight = options_.aggregation == Aggregation::kToken ? 1 / batch.tokens
                                                                 : 1 / (batch.sequences * length);
      // NaN fails this too.
      if (batch.on_policy && !(token.logprob == token.old)) {
        return Fail(
            Code::kInternal,
            "sample {}, token {}: the rollout recorded a log-probability of {:.9g}, the learner "
            "computes {:.9g} from the same "
            "weights; the two must be equal bit for bit (did kernels, target or weights differ?)",
            batch.number[i], t, token.old, token.logprob);
      }
      const TokenLoss loss = GrpoLoss(token, options_.rule);
      slope_N.push_back(static_cast<float>(loss.slope));
      report.loss += loss.loss * loss_share;
      report.kl += loss.kl;
      report.clip_fraction += loss.clipped ? 1 : 0;
      report.ratio_max = std::max(report.ratio_max, loss.ratio);
      report.entropy += entropy_N[n];
      if (batch.on_policy) report.rollout_difference += std::abs(double{token.logprob} - token.old);
      ++report.tokens;
    }
  }
  return slope_N;
}

Status Learner::AddMicroBatch(const MiniBatch& batch,
                              const std::vector<std::size_t>& members,
                              policy::TargetLogprobs* reference,
                              LearnReport& report) {
  policy::TargetSequences sequences;
  for (const std::size_t i : members) {
    const Sample& s = *batch.busy[i];
    auto& ids = sequences.ids_S.emplace_back(s.prompt);
    ids.insert(ids.end(), s.completion.begin(), s.completion.end());
    sequences.first_S.push_back(static_cast<std::int64_t>(s.prompt.size()));
  }
  const auto temperature = static_cast<float>(options_.temperature);
  std::vector<float> reference_N;
  if (reference != nullptr) reference_N = reference->Of(sequences, temperature);
  policy::SideLosses side;
  side.balance = options_.balance_loss / batch.sequences;
  side.mtp = batch.mtp_tokens > 0 ? options_.mtp_loss / batch.mtp_tokens : 0;
  side.mtp_to_trunk = options_.mtp_to_trunk;
  const auto slopes_of = [&](const policy::Targets&, std::span<const float> logprob_N,
                             std::span<const float> entropy_N) {
    return SlopesOf(batch, members, logprob_N, entropy_N, reference_N, report);
  };
  AHA_TRY(update_.Add(sequences, temperature, /*entropies=*/true, side, slopes_of));
  return {};
}

Status Learner::RunMiniBatch(const std::vector<Sample>& samples,
                             std::size_t begin,
                             std::size_t end,
                             bool on_policy,
                             policy::TargetLogprobs* reference,
                             double learning_rate,
                             LearnReport& report) {
  MiniBatch batch;
  batch.on_policy = on_policy;
  batch.sequences = static_cast<double>(end - begin);
  for (std::size_t i = begin; i < end; ++i) {
    const Sample& s = samples[i];
    batch.tokens += static_cast<double>(s.completion.size());
    batch.mtp_tokens += static_cast<double>(
        policy::CountMtpTargets(Length(s), static_cast<std::int64_t>(s.prompt.size())));
    if (s.advantage == 0 && options_.rule.kl == 0) {
      ++report.idle_samples;
      continue;
    }
    batch.busy.push_back(&s);
    batch.number.push_back(i);
  }
  if (batch.busy.empty()) return {};
  for (const auto& members : Cut(batch.busy, options_.micro_batch_tokens))
    AHA_TRY(AddMicroBatch(batch, members, reference, report));
  AHA_ASSIGN(report.update, update_.Finish(learning_rate));
  return {};
}

Result<LearnReport> Learner::Step(const std::vector<Sample>& samples,
                                  const policy::Weights* reference,
                                  double learning_rate) {
  AHA_TRY(Check(config_, samples));
  if (options_.rule.kl > 0 && reference == nullptr)
    return Fail(Code::kInternal, "kl > 0 needs a reference policy");
  std::optional<policy::TargetLogprobs> reference_logprobs;
  if (options_.rule.kl > 0) reference_logprobs.emplace(*reference, update_.cpu());
  LearnReport report;
  const auto updates = static_cast<std::size_t>(options_.updates);
  bool on_policy = true;
  for (std::size_t u = 0; u < updates; ++u) {
    const std::size_t begin = samples.size() * u / updates;
    const std::size_t end = samples.size() * (u + 1) / updates;
    if (begin == end) continue;
    AHA_TRY(RunMiniBatch(samples, begin, end, on_policy,
                         reference_logprobs ? &*reference_logprobs : nullptr, learning_rate,
                         report));
    if (report.tokens > 0) on_policy = false;
  }
  const double tokens = std::max<double>(1, static_cast<double>(report.tokens));
  report.entropy /= tokens;
  report.kl /= tokens;
  report.clip_fraction /= tokens;
  report.rollout_difference /= tokens;
  return report;
}

}  // namespace aha::grpo
