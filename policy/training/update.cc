#include "policy/training/update.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include <ATen/TensorOperators.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/tensor.h>
#include <c10/core/GradMode.h>

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

Update::Update(Policy& policy, const AdamWOptions& options, double bias_rate)
    : policy_(policy), optimizer_(policy, options), gradient_(policy), bias_rate_(bias_rate) {
  policy_.RequireGrad(true);
}

void Update::Add(const at::Tensor& loss, const ForwardTrace& trace) {
  loss.backward();
  gradient_.Collect(policy_);
  for (std::size_t l = 0; l < trace.expert_load.size(); ++l) {
    if (load_.size() <= l) {
      load_.push_back(trace.expert_load[l].clone());
    } else {
      load_[l].add_(trace.expert_load[l]);
    }
  }
}

Result<UpdateReport> Update::Finish(double learning_rate) {
  const at::NoGradGuard no_grad;
  UpdateReport report;
  report.gradient_norm = optimizer_.Step(policy_, gradient_, learning_rate);
  if (!std::isfinite(report.gradient_norm)) {
    std::int64_t at = 0;
    for (const NamedTensor& p : policy_.parameters()) {
      const bool finite = at::isfinite(gradient_.flat().narrow(0, at, p.value.numel())).all().item<bool>();
      if (!finite) return Fail(Code::kInternal, "the gradient of {} is not finite; lower the learning rate", p.name);
      at += p.value.numel();
    }
  }
  UpdateGateBiases(policy_, load_, bias_rate_);
  report.max_violation = MaxViolation(load_);
  for (const at::Tensor& layer : load_) {
    report.load.push_back(layer.max().item<double>() / std::max(1.0, layer.sum().item<double>()));
  }
  load_.clear();
  gradient_.Clear();
  return report;
}

}  // namespace aha::policy
