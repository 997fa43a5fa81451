#include "policy/training/update.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include <ATen/TensorOperators.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/tensor.h>
#include <c10/core/GradMode.h>

#include "base/parallel.h"

namespace aha::policy {

Targets TargetsFrom(const std::vector<std::vector<std::int32_t>>& sequences, const std::vector<std::int64_t>& first_S) {
  std::vector<std::int64_t> rows, tokens;
  Targets targets;
  std::int64_t start = 0;
  for (std::size_t s = 0; s < sequences.size(); ++s) {
    const auto length = static_cast<std::int64_t>(sequences[s].size());
    for (std::int64_t i = std::max<std::int64_t>(1, first_S[s]); i < length; ++i) {
      rows.push_back(start + i - 1);
      tokens.push_back(sequences[s][static_cast<std::size_t>(i)]);
      targets.sequence_N.push_back(s);
    }
    start += length;
  }
  targets.row_N = at::tensor(rows, at::kLong);
  targets.token_N = at::tensor(tokens, at::kLong);
  return targets;
}

std::int64_t CountMtpTargets(std::int64_t length, std::int64_t first) {
  return std::max<std::int64_t>(0, length - std::max<std::int64_t>(2, first));
}

MtpLoss MtpLossOf(const Policy& policy, const RaggedBatch& batch, const at::Tensor& hidden_TH,
                  const std::vector<std::int64_t>& first_S, bool to_trunk, ForwardTrace* trace) {
  MtpLoss out;
  for (std::size_t s = 0; s < first_S.size(); ++s) out.tokens += CountMtpTargets(batch.new_S[s], first_S[s]);
  if (out.tokens == 0) return out;
  const auto mtp = policy.ForwardMtp(batch, to_trunk ? hidden_TH : hidden_TH.detach(), !to_trunk, trace);
  std::vector<std::int64_t> rows, tokens;  // rows of the module, tokens of the batch
  std::int64_t row = 0;
  std::int64_t start = 0;
  for (std::size_t s = 0; s < first_S.size(); ++s) {
    for (std::int64_t i = 0; i + 1 < batch.new_S[s]; ++i, ++row) {
      if (i + 2 >= batch.new_S[s] || i + 2 < first_S[s]) continue;
      rows.push_back(row);
      tokens.push_back(start + i + 2);
    }
    start += batch.new_S[s];
  }
  const kernels::PackedMatrix head = to_trunk ? policy.head() : kernels::PackedMatrix(policy.head().leaf().detach());
  const at::Tensor target_N = batch.ids_T.index_select(0, at::tensor(tokens, at::kLong));
  const at::Tensor hidden_NH = mtp.hidden_MH.index_select(0, at::tensor(rows, at::kLong));
  out.sum = -kernels::LogprobsOf(hidden_NH, head, target_N, 1, /*with_entropy=*/false).logprob_T.sum();
  return out;
}

namespace {

void AddLoad(const std::vector<at::Tensor>& from, std::vector<at::Tensor>& to) {
  for (std::size_t l = 0; l < from.size(); ++l) {
    if (to.size() <= l) {
      to.push_back(from[l].clone());
    } else {
      to[l].add_(from[l]);
    }
  }
}

}  // namespace

Update::Update(Policy& policy, const AdamWOptions& options, double bias_rate, int threads)
    : policy_(policy), optimizer_(policy, options), bias_rate_(bias_rate), threads_(threads) {
  for (std::size_t s = 0; s < kShards; ++s) {
    shards_.push_back({policy.Alias(), GradientSum(policy), {}});
    shards_.back().policy.RequireGrad(true);
  }
}

Status Update::Accumulate(std::size_t micro_batches, const std::function<MicroLoss(const Policy&, std::size_t)>& loss_of) {
  return RunParallel(threads_, kShards, [&](std::size_t s, int /*worker*/) -> Status {
    Shard& shard = shards_[s];
    for (std::size_t m = s; m < micro_batches; m += kShards) {
      const MicroLoss micro = loss_of(shard.policy, m);
      micro.loss.backward();
      shard.gradient.Collect(shard.policy);
      AddLoad(micro.trace.expert_load, shard.load);
    }
    return {};
  });
}

Result<UpdateReport> Update::Finish(double learning_rate) {
  const at::NoGradGuard no_grad;
  GradientSum& gradient = shards_.front().gradient;
  std::vector<at::Tensor>& load = shards_.front().load;
  for (std::size_t s = 1; s < kShards; ++s) {
    gradient.Add(shards_[s].gradient);
    AddLoad(shards_[s].load, load);
  }
  UpdateReport report;
  report.gradient_norm = optimizer_.Step(policy_, gradient, learning_rate);
  if (!std::isfinite(report.gradient_norm)) {
    std::int64_t at = 0;
    for (const NamedTensor& p : policy_.parameters()) {
      const bool finite = at::isfinite(gradient.flat().narrow(0, at, p.value.numel())).all().item<bool>();
      if (!finite) return Fail(Code::kInternal, "the gradient of {} is not finite; lower the learning rate", p.name);
      at += p.value.numel();
    }
  }
  UpdateGateBiases(policy_, load, bias_rate_);
  report.max_violation = MaxViolation(load);
  for (Shard& shard : shards_) {
    shard.gradient.Clear();
    shard.load.clear();
  }
  return report;
}

}  // namespace aha::policy
