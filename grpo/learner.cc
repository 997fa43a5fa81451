#include "grpo/learner.h"

#include <algorithm>
#include <cmath>

#include <ATen/TensorOperators.h>
#include <ATen/ops/tensor.h>
#include <c10/core/GradMode.h>

#include "base/parallel.h"

namespace aha::grpo {
namespace {

std::int64_t Length(const Sample& s) { return static_cast<std::int64_t>(s.prompt.size() + s.completion.size()); }

// A micro-batch of samples, laid out: prompt and completion, targets in the completion.
struct Micro {
  std::vector<std::vector<std::int32_t>> ids;
  std::vector<std::int64_t> first;
  policy::RaggedBatch batch;
  policy::Targets targets;
};

Micro LayOut(const std::vector<const Sample*>& members) {
  Micro micro;
  for (const Sample* s : members) {
    auto& ids = micro.ids.emplace_back(s->prompt);
    ids.insert(ids.end(), s->completion.begin(), s->completion.end());
    micro.first.push_back(static_cast<std::int64_t>(s->prompt.size()));
  }
  micro.batch = policy::PackSequences(micro.ids);
  micro.targets = policy::TargetsFrom(micro.ids, micro.first);
  return micro;
}

std::vector<std::vector<std::size_t>> Cut(const std::vector<const Sample*>& samples, std::int64_t budget) {
  std::vector<std::int64_t> lengths;
  lengths.reserve(samples.size());
  for (const Sample* s : samples) lengths.push_back(Length(*s));
  return policy::CutMicroBatches(lengths, budget);
}

at::Tensor LogprobsWithoutGradient(const policy::Policy& policy, const Micro& micro, double temperature) {
  const at::NoGradGuard no_grad;
  const at::Tensor hidden_NH = policy.Forward(micro.batch).index_select(0, micro.targets.row_N);
  return policy::kernels::LogprobsOf(hidden_NH, policy.head(), micro.targets.token_N, temperature, false).logprob_T;
}

Status Check(const policy::PolicyConfig& config, const std::vector<Sample>& samples) {
  for (const Sample& s : samples) {
    if (s.prompt.empty() || s.completion.empty()) return Fail(Code::kInvalidArgument, "a sample has an empty prompt or completion");
    if (s.rollout_logprobs.size() != s.completion.size()) {
      return Fail(Code::kInvalidArgument, "a sample has {} tokens and {} log-probabilities", s.completion.size(), s.rollout_logprobs.size());
    }
    if (Length(s) > config.max_position_embeddings) {
      return Fail(Code::kInvalidArgument, "a sample has {} tokens, the model takes {}", Length(s), config.max_position_embeddings);
    }
    if (!std::isfinite(s.advantage)) return Fail(Code::kInternal, "an advantage is not finite");
  }
  return {};
}

}  // namespace

// What one micro-batch adds to the step's report.
struct Learner::MicroReport {
  double loss = 0, entropy = 0, difference = 0;
  ObjectiveParts parts;
  std::int64_t tokens = 0;
};

void Learner::AddUp(const std::vector<MicroReport>& micros, double loss_share, LearnReport& report) {
  for (const MicroReport& m : micros) {
    report.loss += m.loss * loss_share;
    report.entropy += m.entropy;
    report.kl += m.parts.kl_sum;
    report.clip_fraction += m.parts.clipped;
    report.ratio_max = std::max(report.ratio_max, m.parts.ratio_max);
    report.rollout_difference += m.difference;
    report.tokens += m.tokens;
  }
}

// The samples of one mini-batch that have a gradient, and the denominators of the whole of it: they
// are taken before idle samples leave and before it is cut into micro-batches.
struct Learner::MiniBatch {
  std::vector<const Sample*> busy;
  std::vector<const std::vector<float>*> old;  // one a busy sample; empty: on-policy
  double sequences = 0;
  double tokens = 0;
  double mtp_tokens = 0;
};

Learner::Learner(policy::Policy& policy, const LearnerOptions& options)
    : policy_(policy), options_(options), update_(policy, options.adamw, options.bias_rate, options.threads) {}

Result<std::vector<std::vector<float>>> Learner::OldLogprobs(const std::vector<Sample>& samples) const {
  std::vector<const Sample*> all;
  for (const Sample& s : samples) all.push_back(&s);
  const auto cuts = Cut(all, options_.micro_batch_tokens);
  std::vector<std::vector<float>> old(samples.size());
  AHA_TRY(RunParallel(options_.threads, cuts.size(), [&](std::size_t m, int /*worker*/) -> Status {
    std::vector<const Sample*> members;
    for (const std::size_t i : cuts[m]) members.push_back(all[i]);
    const at::Tensor logprob_N = LogprobsWithoutGradient(policy_, LayOut(members), options_.temperature).contiguous();
    const auto* from = logprob_N.const_data_ptr<float>();
    for (const std::size_t i : cuts[m]) {
      old[i].assign(from, from + samples[i].completion.size());
      from += samples[i].completion.size();
    }
    return {};
  }));
  return old;
}

policy::MicroLoss Learner::LossOf(const policy::Policy& policy, const MiniBatch& batch, const std::vector<std::size_t>& cut,
                                  const policy::Policy* reference, MicroReport& report) const {
  std::vector<const Sample*> part;
  std::vector<float> advantage, weight, before, recorded;
  for (const std::size_t i : cut) {
    const Sample& s = *batch.busy[i];
    const auto length = s.completion.size();
    const double share = options_.aggregation == Aggregation::kToken ? 1 / batch.tokens
                                                                     : 1 / (batch.sequences * static_cast<double>(length));
    part.push_back(&s);
    advantage.insert(advantage.end(), length, static_cast<float>(s.advantage));
    weight.insert(weight.end(), length, static_cast<float>(share));
    recorded.insert(recorded.end(), s.rollout_logprobs.begin(), s.rollout_logprobs.end());
    if (!batch.old.empty()) before.insert(before.end(), batch.old[i]->begin(), batch.old[i]->end());
  }
  const Micro micro = LayOut(part);
  policy::MicroLoss out;
  out.trace.balance = options_.balance_loss > 0;
  const at::Tensor hidden_TH = policy.Forward(micro.batch, &out.trace);
  const auto now = policy::kernels::LogprobsOf(hidden_TH.index_select(0, micro.targets.row_N), policy.head(),
                                               micro.targets.token_N, options_.temperature, /*with_entropy=*/true);
  // One update a step: the policy that sampled is the one at hand, so its own values are the old ones.
  const at::Tensor old_N = batch.old.empty() ? now.logprob_T.detach() : at::tensor(before, at::kFloat);
  at::Tensor reference_N;
  if (options_.rule.kl > 0) reference_N = LogprobsWithoutGradient(*reference, micro, options_.temperature);
  report.parts =
      GrpoLoss(now.logprob_T, old_N, reference_N, at::tensor(advantage, at::kFloat), at::tensor(weight, at::kFloat), options_.rule);
  out.loss = report.parts.loss;
  report.parts.loss = at::Tensor();  // the report outlives the graph
  report.loss = out.loss.item<double>();
  report.entropy = now.entropy_T.sum(at::kDouble).item<double>();
  report.difference = (old_N - at::tensor(recorded, at::kFloat)).abs().sum(at::kDouble).item<double>();
  report.tokens = static_cast<std::int64_t>(recorded.size());
  if (options_.mtp_loss > 0 && policy.config().num_nextn_predict_layers > 0) {
    const policy::MtpLoss mtp = policy::MtpLossOf(policy, micro.batch, hidden_TH, micro.first, options_.mtp_to_trunk, &out.trace);
    if (mtp.sum.defined()) out.loss = out.loss + mtp.sum * (options_.mtp_loss / batch.mtp_tokens);
  }
  if (out.trace.balance_loss.defined()) out.loss = out.loss + out.trace.balance_loss * (options_.balance_loss / batch.sequences);
  return out;
}

Status Learner::RunMiniBatch(const std::vector<Sample>& samples, std::size_t begin, std::size_t end,
                             const std::vector<std::vector<float>>& old, const policy::Policy* reference,
                             double learning_rate, LearnReport& report) {
  MiniBatch batch;
  batch.sequences = static_cast<double>(end - begin);
  for (std::size_t i = begin; i < end; ++i) {
    const Sample& s = samples[i];
    batch.tokens += static_cast<double>(s.completion.size());
    batch.mtp_tokens += static_cast<double>(policy::CountMtpTargets(Length(s), static_cast<std::int64_t>(s.prompt.size())));
    if (s.advantage == 0 && options_.rule.kl == 0) {
      ++report.idle_samples;
      continue;
    }
    batch.busy.push_back(&s);
    if (!old.empty()) batch.old.push_back(&old[i]);
  }
  if (batch.busy.empty()) return {};
  const auto cuts = Cut(batch.busy, options_.micro_batch_tokens);
  std::vector<MicroReport> micros(cuts.size());
  AHA_TRY(update_.Accumulate(cuts.size(), [&](const policy::Policy& policy, std::size_t m) {
    return LossOf(policy, batch, cuts[m], reference, micros[m]);
  }));
  AddUp(micros, 1.0 / static_cast<double>(options_.updates), report);
  AHA_ASSIGN(report.update, update_.Finish(learning_rate));
  return {};
}

Result<LearnReport> Learner::Step(const std::vector<Sample>& samples, const policy::Policy* reference, double learning_rate) {
  AHA_TRY(Check(policy_.config(), samples));
  if (options_.rule.kl > 0 && reference == nullptr) return Fail(Code::kInternal, "kl > 0 needs a reference policy");
  std::vector<std::vector<float>> old;
  if (options_.updates > 1) {
    AHA_ASSIGN(old, OldLogprobs(samples));
  }
  LearnReport report;
  const auto updates = static_cast<std::size_t>(options_.updates);
  for (std::size_t u = 0; u < updates; ++u) {
    const std::size_t begin = samples.size() * u / updates;
    const std::size_t end = samples.size() * (u + 1) / updates;
    if (begin < end) AHA_TRY(RunMiniBatch(samples, begin, end, old, reference, learning_rate, report));
  }
  const double tokens = std::max<double>(1, static_cast<double>(report.tokens));
  report.entropy /= tokens;
  report.kl /= tokens;
  report.clip_fraction /= tokens;
  report.rollout_difference /= tokens;
  return report;
}

}  // namespace aha::grpo
