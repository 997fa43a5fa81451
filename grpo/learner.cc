#include "grpo/learner.h"

#include <algorithm>
#include <cmath>

#include <ATen/TensorOperators.h>
#include <ATen/ops/tensor.h>
#include <c10/core/GradMode.h>

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

Learner::Learner(policy::Policy& policy, const LearnerOptions& options)
    : policy_(policy), options_(options), update_(policy, options.adamw, options.bias_rate) {}

std::vector<std::vector<float>> Learner::OldLogprobs(const std::vector<Sample>& samples) const {
  std::vector<const Sample*> all;
  for (const Sample& s : samples) all.push_back(&s);
  std::vector<std::vector<float>> old(samples.size());
  for (const auto& cut : Cut(all, options_.micro_batch_tokens)) {
    std::vector<const Sample*> members;
    for (const std::size_t i : cut) members.push_back(all[i]);
    const at::Tensor logprob_N = LogprobsWithoutGradient(policy_, LayOut(members), options_.temperature).contiguous();
    const auto* from = logprob_N.const_data_ptr<float>();
    for (const std::size_t i : cut) {
      old[i].assign(from, from + samples[i].completion.size());
      from += samples[i].completion.size();
    }
  }
  return old;
}

Status Learner::RunMiniBatch(const std::vector<const Sample*>& members, const std::vector<std::vector<float>>& old,
                             const policy::Policy* reference, double learning_rate, LearnReport& report) {
  // Denominators come from the whole mini-batch, before idle samples leave and before it is cut.
  double tokens = 0, mtp_tokens = 0;
  std::vector<const Sample*> busy;
  std::vector<std::size_t> busy_index;
  for (std::size_t i = 0; i < members.size(); ++i) {
    tokens += static_cast<double>(members[i]->completion.size());
    if (members[i]->advantage == 0 && options_.rule.kl == 0) {
      ++report.idle_samples;
      continue;
    }
    mtp_tokens += static_cast<double>(policy::CountMtpTargets(Length(*members[i]), static_cast<std::int64_t>(members[i]->prompt.size())));
    busy.push_back(members[i]);
    busy_index.push_back(i);
  }
  if (busy.empty()) return {};
  const auto sequences = static_cast<double>(members.size());
  for (const auto& cut : Cut(busy, options_.micro_batch_tokens)) {
    std::vector<const Sample*> part;
    for (const std::size_t i : cut) part.push_back(busy[i]);
    const Micro micro = LayOut(part);
    std::vector<float> advantage, weight, before, recorded;
    for (const std::size_t i : cut) {
      const auto length = busy[i]->completion.size();
      const double per_token = options_.aggregation == Aggregation::kToken ? 1 / tokens : 1 / (sequences * static_cast<double>(length));
      advantage.insert(advantage.end(), length, static_cast<float>(busy[i]->advantage));
      weight.insert(weight.end(), length, static_cast<float>(per_token));
      recorded.insert(recorded.end(), busy[i]->rollout_logprobs.begin(), busy[i]->rollout_logprobs.end());
      if (!old.empty()) before.insert(before.end(), old[busy_index[i]].begin(), old[busy_index[i]].end());
    }
    policy::ForwardTrace trace;
    trace.balance = options_.balance_loss > 0;
    const at::Tensor hidden_TH = policy_.Forward(micro.batch, &trace);
    const auto now = policy::kernels::LogprobsOf(hidden_TH.index_select(0, micro.targets.row_N), policy_.head(),
                                                 micro.targets.token_N, options_.temperature, /*with_entropy=*/true);
    // One update a step: the policy that sampled is the one at hand, so its own values are the old ones.
    const at::Tensor old_N = old.empty() ? now.logprob_T.detach() : at::tensor(before, at::kFloat);
    at::Tensor reference_N;
    if (options_.rule.kl > 0) reference_N = LogprobsWithoutGradient(*reference, micro, options_.temperature);
    const ObjectiveParts parts =
        GrpoLoss(now.logprob_T, old_N, reference_N, at::tensor(advantage, at::kFloat), at::tensor(weight, at::kFloat), options_.rule);
    at::Tensor loss = parts.loss;
    if (options_.mtp_loss > 0 && policy_.config().num_nextn_predict_layers > 0) {
      const policy::MtpLoss mtp =
          policy::MtpLossOf(policy_, micro.batch, hidden_TH, micro.first, options_.mtp_to_trunk, &trace);
      if (mtp.sum.defined()) loss = loss + mtp.sum * (options_.mtp_loss / mtp_tokens);
    }
    if (trace.balance_loss.defined()) loss = loss + trace.balance_loss * (options_.balance_loss / sequences);
    report.loss += parts.loss.item<double>() / static_cast<double>(options_.updates);
    report.entropy += now.entropy_T.sum(at::kDouble).item<double>();
    report.kl += parts.kl_sum;
    report.clip_fraction += parts.clipped;
    report.ratio_max = std::max(report.ratio_max, parts.ratio_max);
    report.rollout_difference += (old_N - at::tensor(recorded, at::kFloat)).abs().sum(at::kDouble).item<double>();
    report.tokens += static_cast<std::int64_t>(recorded.size());
    update_.Add(loss, trace);
  }
  AHA_ASSIGN(report.update, update_.Finish(learning_rate));
  return {};
}

Result<LearnReport> Learner::Step(const std::vector<Sample>& samples, const policy::Policy* reference, double learning_rate) {
  AHA_TRY(Check(policy_.config(), samples));
  if (options_.rule.kl > 0 && reference == nullptr) return Fail(Code::kInternal, "kl > 0 needs a reference policy");
  std::vector<std::vector<float>> old;
  if (options_.updates > 1) old = OldLogprobs(samples);
  LearnReport report;
  const auto count = static_cast<std::int64_t>(samples.size());
  for (std::int64_t u = 0; u < options_.updates; ++u) {
    std::vector<const Sample*> members;
    std::vector<std::vector<float>> old_part;
    for (std::int64_t i = count * u / options_.updates; i < count * (u + 1) / options_.updates; ++i) {
      members.push_back(&samples[static_cast<std::size_t>(i)]);
      if (!old.empty()) old_part.push_back(old[static_cast<std::size_t>(i)]);
    }
    if (!members.empty()) AHA_TRY(RunMiniBatch(members, old_part, reference, learning_rate, report));
  }
  const double tokens = std::max<double>(1, static_cast<double>(report.tokens));
  report.entropy /= tokens;
  report.kl /= tokens;
  report.clip_fraction /= tokens;
  report.rollout_difference /= tokens;
  return report;
}

}  // namespace aha::grpo
