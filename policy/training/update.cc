#include "policy/training/update.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "policy/model/tape_size.h"

namespace aha::policy {
namespace {

// What the MTP module sees of a batch: sequences that give it a target, each from its second token
// on, and the trunk's rows that go with them.
struct MtpBatch {
  explicit MtpBatch(const TargetSequences& sequences) {
    std::int32_t start = 0;  // of the trunk's rows
    std::int32_t own = 0;    // of the module's
    for (std::size_t s = 0; s < sequences.ids_S.size(); ++s) {
      const std::vector<std::int32_t>& ids = sequences.ids_S[s];
      const auto length = static_cast<std::int32_t>(ids.size());
      const auto first = static_cast<std::int32_t>(sequences.first_S[s]);
      if (CountMtpTargets(length, first) > 0) {
        views.push_back({std::span(ids).subspan(1), 0, {}});
        for (std::int32_t i = 0; i + 1 < length; ++i)
          trunk_rows.push_back(start + i);
        for (std::int32_t i = std::max(2, first); i < length; ++i) {
          targets.row_N.push_back(own + i - 2);
          targets.token_N.push_back(ids[static_cast<std::size_t>(i)]);
        }
        own += length - 1;
      }
      start += length;
    }
  }
  std::vector<SequenceTokens> views;
  std::vector<std::int32_t> trunk_rows;
  Targets targets;
};

}  // namespace

std::vector<float> TargetLogprobs::Of(const TargetSequences& sequences, float temperature) {
  const BatchRows rows(sequences);
  const Targets targets = TargetsOf(sequences);
  std::vector<float> logprob_N(targets.row_N.size());
  const Hidden hidden = pass_.Forward(rows.batch());
  head_.Logprobs(hidden, targets.row_N, targets.token_N, temperature, logprob_N);
  return logprob_N;
}

Update::Update(Weights& weights,
               const cpu::Cpu& cpu,
               const AdamWOptions& options,
               double bias_rate,
               std::size_t most_tape_bytes)
    : weights_(weights),
      cpu_(cpu),
      pass_(weights, cpu),
      head_(weights, cpu),
      gradients_(weights),
      optimizer_(weights, options),
      bias_rate_(bias_rate),
      most_tape_bytes_(most_tape_bytes) {}

void Update::AddLoad(const ExpertLoad& load, std::size_t first_layer) {
  for (std::size_t l = 0; l < load.size(); ++l) {
    if (load_.size() <= first_layer + l) load_.resize(first_layer + l + 1);
    std::vector<std::int64_t>& sum = load_[first_layer + l];
    sum.resize(load[l].size(), 0);
    for (std::size_t e = 0; e < sum.size(); ++e)
      sum[e] += load[l][e];
  }
}

MicroReport Update::AddMtp(const TargetSequences& sequences,
                           const Hidden& hidden,
                           const SideLosses& side,
                           std::size_t trunk_layers,
                           cpu::Rows<float> dhidden) {
  const MtpBatch batch(sequences);
  MicroReport report;
  report.mtp_tokens = static_cast<std::int64_t>(batch.targets.row_N.size());
  if (report.mtp_tokens == 0) return report;
  const Workspace::Mark mark = memory_.mark();
  ExpertLoad load;
  const Hidden trunk = GatherRows(cpu_, hidden, batch.trunk_rows, memory_);
  const Hidden ahead = pass_.ForwardMtp({batch.views, nullptr}, trunk, {&mtp_tape_, &load});
  AddLoad(load, trunk_layers);
  std::vector<float> logprob_N(batch.targets.row_N.size());
  const std::vector<float> slope_N(logprob_N.size(), static_cast<float>(-side.mtp));
  const auto dahead = memory_.TakeRows<float>(ahead.tokens, ahead.width);
  head_.LogprobsBackward(ahead, batch.targets.row_N, batch.targets.token_N, 1, {slope_N}, dahead,
                         side.mtp_to_trunk ? &gradients_ : nullptr, TableUse::kMtpHead, logprob_N);
  for (const float l : logprob_N)
    report.mtp_sum -= l;
  MtpBackwardOptions options;
  options.balance = static_cast<float>(side.balance);
  options.embedding = side.mtp_to_trunk;
  if (side.mtp_to_trunk) {
    options.dtrunk = memory_.TakeRows<float>(ahead.tokens, ahead.width);
    std::fill_n(options.dtrunk.data, ahead.tokens * ahead.width, 0.0F);
  }
  pass_.BackwardMtp(mtp_tape_, dahead, gradients_, options);
  for (std::size_t m = 0; side.mtp_to_trunk && m < batch.trunk_rows.size(); ++m) {
    float* to = dhidden[static_cast<std::size_t>(batch.trunk_rows[m])];
    for (std::size_t i = 0; i < dhidden.width; ++i)
      to[i] += options.dtrunk[m][i];
  }
  memory_.Release(mark);
  return report;
}

Hidden Update::Forward(const TargetSequences& sequences, ExpertLoad& load) {
  memory_.Reset();
  const BatchRows rows(sequences);
  const TokenBatch batch = rows.batch();
  // Recomputation changes time and memory, and no bit.
  tape_.set_recompute(TapeBytes(weights_.config(), batch.tokens()) > most_tape_bytes_);
  const Hidden hidden = pass_.Forward(batch, {&tape_, &load});
  AddLoad(load, 0);
  return hidden;
}

MicroReport Update::Backward(const TargetSequences& sequences,
                             const Hidden& hidden,
                             const SideLosses& side,
                             std::size_t trunk_layers,
                             cpu::Rows<float> dhidden) {
  MicroReport report;
  if (side.mtp > 0 && weights_.mtp())
    report = AddMtp(sequences, hidden, side, trunk_layers, dhidden);
  pass_.Backward(tape_, dhidden, gradients_, {static_cast<float>(side.balance), &sums_});
  return report;
}

Result<MicroReport> Update::Add(const TargetSequences& sequences,
                                float temperature,
                                bool entropies,
                                const SideLosses& side,
                                const SlopesOf& slopes_of) {
  const Targets targets = TargetsOf(sequences);
  ExpertLoad load;
  const Hidden hidden = Forward(sequences, load);
  std::vector<float> logprob_N(targets.row_N.size()), entropy_N(entropies ? logprob_N.size() : 0);
  head_.Logprobs(hidden, targets.row_N, targets.token_N, temperature, logprob_N, entropy_N);
  AHA_ASSIGN(const std::vector<float> slope_N, slopes_of(targets, logprob_N, entropy_N));
  const auto dhidden = memory_.TakeRows<float>(hidden.tokens, hidden.width);
  head_.LogprobsBackward(hidden, targets.row_N, targets.token_N, temperature, {slope_N}, dhidden,
                         &gradients_);
  return Backward(sequences, hidden, side, load.size(), dhidden);
}

MicroReport Update::AddKnown(const TargetSequences& sequences,
                             float temperature,
                             const SideLosses& side,
                             std::span<const float> slope_N,
                             TargetValues& values) {
  const Targets targets = TargetsOf(sequences);
  ExpertLoad load;
  const Hidden hidden = Forward(sequences, load);
  values.logprob_N.resize(targets.row_N.size());
  values.entropy_N.resize(targets.row_N.size());
  const auto dhidden = memory_.TakeRows<float>(hidden.tokens, hidden.width);
  head_.LogprobsBackward(hidden, targets.row_N, targets.token_N, temperature, {slope_N}, dhidden,
                         &gradients_, TableUse::kHead, values.logprob_N, values.entropy_N);
  return Backward(sequences, hidden, side, load.size(), dhidden);
}

Result<UpdateReport> Update::Finish(double learning_rate) {
  gradients_.Finish(cpu_);
  UpdateReport report;
  report.gradient_norm = optimizer_.Step(cpu_, weights_, gradients_, learning_rate);
  if (!std::isfinite(report.gradient_norm)) {
    for (const Weights::Tensor& tensor : weights_.tensors()) {
      if (!tensor.spec.trainable) continue;
      const auto numbers = gradients_.flat().subspan(tensor.offset, tensor.numbers());
      if (std::all_of(numbers.begin(), numbers.end(), [](float x) { return std::isfinite(x); }))
        continue;
      Drop();
      return Fail(Code::kInternal, "the gradient of {} is not finite", tensor.spec.name);
    }
  }
  UpdateGateBiases(weights_, load_, bias_rate_);
  report.max_violation = MaxViolation(load_);
  for (const std::vector<std::int64_t>& layer : load_) {
    const std::int64_t all = std::accumulate(layer.begin(), layer.end(), std::int64_t{0});
    const auto most = static_cast<double>(*std::max_element(layer.begin(), layer.end()));
    report.load.push_back(most / std::max(1.0, static_cast<double>(all)));
  }
  report.health = LoadHealthOf(load_);
  Drop();
  return report;
}

void Update::Drop() {
  const cpu::Working working(cpu_.clock(), cpu::Work::kClear);
  gradients_.Clear(cpu_);
  load_.clear();
}

}  // namespace aha::policy
