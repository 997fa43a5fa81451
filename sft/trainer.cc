#include "sft/trainer.h"

#include <algorithm>
#include <numeric>

#include <ATen/TensorOperators.h>
#include <ATen/ops/tensor.h>
#include <c10/core/GradMode.h>

namespace aha::sft {
namespace {

struct Counts {
  std::int64_t targets = 0;
  std::int64_t mtp_targets = 0;
};

Result<Counts> Check(const policy::PolicyConfig& config, const std::vector<Example>& batch) {
  Counts counts;
  for (const Example& e : batch) {
    const auto length = static_cast<std::int64_t>(e.ids.size());
    if (length > config.max_position_embeddings) {
      return Fail(Code::kInvalidArgument, "an example has {} tokens, the model takes {}", length, config.max_position_embeddings);
    }
    for (const std::int32_t id : e.ids) {
      if (id >= 0 && id < config.vocab_size) continue;
      return Fail(Code::kInvalidArgument, "token id {} is outside the model's vocabulary of {}; do tokenizer and model match?",
                  id, config.vocab_size);
    }
    counts.targets += std::max<std::int64_t>(0, length - std::max<std::int64_t>(1, e.loss_from));
    counts.mtp_targets += policy::CountMtpTargets(length, e.loss_from);
  }
  if (counts.targets == 0) return Fail(Code::kInvalidArgument, "a batch of {} examples holds nothing to predict", batch.size());
  return counts;
}

// The examples of one micro-batch, laid out.
struct Micro {
  std::vector<std::vector<std::int32_t>> ids;
  std::vector<std::int64_t> first;
};

std::vector<Micro> Cut(const std::vector<Example>& batch, std::int64_t budget) {
  std::vector<std::int64_t> lengths;
  lengths.reserve(batch.size());
  for (const Example& e : batch) lengths.push_back(static_cast<std::int64_t>(e.ids.size()));
  std::vector<Micro> out;
  for (const auto& members : policy::CutMicroBatches(lengths, budget)) {
    Micro micro;
    for (const std::size_t i : members) {
      micro.ids.push_back(batch[i].ids);
      micro.first.push_back(batch[i].loss_from);
    }
    out.push_back(std::move(micro));
  }
  return out;
}

}  // namespace

Trainer::Trainer(policy::Policy& policy, const TrainerOptions& options)
    : policy_(policy), options_(options), update_(policy, options.adamw, options.bias_rate, options.threads) {}

Result<TrainReport> Trainer::Step(const std::vector<Example>& batch, double learning_rate) {
  AHA_ASSIGN(const Counts counts, Check(policy_.config(), batch));
  const std::vector<Micro> micros = Cut(batch, options_.micro_batch_tokens);
  // Sums of each micro-batch, added in their order below: threads finish in any.
  std::vector<double> nll_sum(micros.size(), 0), mtp_sum(micros.size(), 0);
  AHA_TRY(update_.Accumulate(micros.size(), [&](const policy::Policy& policy, std::size_t m) {
    const Micro& micro = micros[m];
    policy::MicroLoss out;
    out.trace.balance = options_.balance_loss > 0;
    const policy::RaggedBatch ragged = policy::PackSequences(micro.ids);
    const at::Tensor hidden_TH = policy.Forward(ragged, &out.trace);
    const policy::Targets targets = policy::TargetsFrom(micro.ids, micro.first);
    const at::Tensor nll = -policy::kernels::LogprobsOf(hidden_TH.index_select(0, targets.row_N), policy.head(),
                                                        targets.token_N, 1, /*with_entropy=*/false).logprob_T.sum();
    nll_sum[m] = nll.item<double>();
    out.loss = nll / static_cast<double>(counts.targets);
    if (options_.mtp_loss > 0 && policy.config().num_nextn_predict_layers > 0) {
      const policy::MtpLoss mtp = policy::MtpLossOf(policy, ragged, hidden_TH, micro.first, /*to_trunk=*/true, &out.trace);
      if (mtp.sum.defined()) {
        mtp_sum[m] = mtp.sum.item<double>();
        out.loss = out.loss + mtp.sum * (options_.mtp_loss / static_cast<double>(counts.mtp_targets));
      }
    }
    if (out.trace.balance_loss.defined()) {
      out.loss = out.loss + out.trace.balance_loss * (options_.balance_loss / static_cast<double>(batch.size()));
    }
    return out;
  }));
  TrainReport report;
  report.tokens = counts.targets;
  report.loss = std::accumulate(nll_sum.begin(), nll_sum.end(), 0.0) / static_cast<double>(counts.targets);
  report.mtp_loss = std::accumulate(mtp_sum.begin(), mtp_sum.end(), 0.0) / static_cast<double>(std::max<std::int64_t>(1, counts.mtp_targets));
  AHA_ASSIGN(report.update, update_.Finish(learning_rate));
  return report;
}

Result<double> EvaluateLoss(const policy::Policy& policy, const std::vector<Example>& examples, std::int64_t micro_batch_tokens) {
  const at::NoGradGuard no_grad;
  AHA_ASSIGN(const Counts counts, Check(policy.config(), examples));
  double sum = 0;
  for (const Micro& micro : Cut(examples, micro_batch_tokens)) {
    const at::Tensor hidden_TH = policy.Forward(policy::PackSequences(micro.ids));
    const policy::Targets targets = policy::TargetsFrom(micro.ids, micro.first);
    sum -= policy::kernels::LogprobsOf(hidden_TH.index_select(0, targets.row_N), policy.head(), targets.token_N, 1, false)
               .logprob_T.sum(at::kDouble).item<double>();
  }
  return sum / static_cast<double>(counts.targets);
}

}  // namespace aha::sft
