#include "sft/trainer.h"

#include <algorithm>

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
      return Fail(Code::kInvalidArgument, "an example has {} tokens, the model takes {}", length,
                  config.max_position_embeddings);
    }
    for (const std::int32_t id : e.ids) {
      if (id >= 0 && id < config.vocab_size) continue;
      return Fail(
          Code::kInvalidArgument,
          "token id {} is outside the model's vocabulary of {}; do tokenizer and model match?", id,
          config.vocab_size);
    }
    counts.targets += std::max<std::int64_t>(0, length - std::max<std::int64_t>(1, e.loss_from));
    counts.mtp_targets += policy::CountMtpTargets(length, e.loss_from);
  }
  if (counts.targets == 0)
    return Fail(Code::kInvalidArgument, "a batch of {} examples holds nothing to predict",
                batch.size());
  return counts;
}

std::vector<policy::TargetSequences> Cut(const std::vector<Example>& batch, std::int64_t budget) {
  std::vector<std::int64_t> lengths;
  lengths.reserve(batch.size());
  for (const Example& e : batch)
    lengths.push_back(static_cast<std::int64_t>(e.ids.size()));
  std::vector<policy::TargetSequences> micros;
  for (const auto& members : policy::CutMicroBatches(lengths, budget)) {
    policy::TargetSequences& micro = micros.emplace_back();
    for (const std::size_t i : members) {
      micro.ids_S.push_back(batch[i].ids);
      micro.first_S.push_back(batch[i].loss_from);
    }
  }
  return micros;
}

}  // namespace

Trainer::Trainer(policy::Weights& weights,
                 const policy::cpu::Cpu& cpu,
                 const TrainerOptions& options)
    : config_(weights.config()),
      options_(options),
      update_(weights, cpu, options.adamw, options.bias_rate) {}

Result<TrainReport> Trainer::Step(const std::vector<Example>& batch, double learning_rate) {
  AHA_ASSIGN(const Counts counts, Check(config_, batch));
  const auto targets = static_cast<double>(counts.targets);
  const auto mtp_targets = static_cast<double>(std::max<std::int64_t>(1, counts.mtp_targets));
  policy::SideLosses side;
  side.balance = options_.balance_loss / static_cast<double>(batch.size());
  side.mtp = options_.mtp_loss / mtp_targets;
  side.mtp_to_trunk = true;
  double nll = 0, mtp = 0;
  for (const policy::TargetSequences& micro : Cut(batch, options_.micro_batch_tokens)) {
    const std::vector<float> slope_N(policy::TargetsOf(micro).row_N.size(),
                                     static_cast<float>(-1 / targets));
    policy::TargetValues values;
    mtp += update_.AddKnown(micro, 1, side, slope_N, values).mtp_sum;
    for (const float l : values.logprob_N)
      nll -= l;
  }
  TrainReport report;
  report.tokens = counts.targets;
  report.loss = nll / targets;
  report.mtp_loss = mtp / mtp_targets;
  auto finished = update_.Finish(learning_rate);
  if (!finished) {
    return Fail(finished.error().code, "{}; lower the learning rate or clip_norm",
                finished.error().message);
  }
  report.update = std::move(*finished);
  return report;
}

Result<double> EvaluateLoss(const policy::Weights& weights,
                            const policy::cpu::Cpu& cpu,
                            const std::vector<Example>& examples,
                            std::int64_t micro_batch_tokens) {
  AHA_ASSIGN(const Counts counts, Check(weights.config(), examples));
  policy::TargetLogprobs logprobs(weights, cpu);
  double sum = 0;
  for (const policy::TargetSequences& micro : Cut(examples, micro_batch_tokens)) {
    for (const float l : logprobs.Of(micro, 1))
      sum -= l;
  }
  return sum / static_cast<double>(counts.targets);
}

}  // namespace aha::sft
