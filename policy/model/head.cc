#include "policy/model/head.h"

#include <algorithm>

#include "policy/kernels/cpu/gemm.h"

namespace aha::policy {
namespace {

using cpu::Rows;

template <class F>
auto WithType(cpu::NumberKind kind, const F& f) {
  return kind == cpu::NumberKind::kBf16 ? f(cpu::Bf16{}) : f(0.0F);
}

template <class T>
T* DataOf(std::span<T> span) {
  return span.empty() ? nullptr : span.data();
}

}  // namespace

void Head::Sample(const Hidden& hidden,
                  std::span<const std::int32_t> row_N,
                  std::span<const cpu::SampleRequest> request_N,
                  std::span<cpu::SampledToken> out_N) {
  workspace_.Reset();
  const Hidden rows = GatherRows(cpu_, hidden, row_N, workspace_);
  WithType(hidden.kind, [&]<class T>(T) {
    cpu::SampleTokens<T>(cpu_, rows.as<T>(), weights_.head().matrix, request_N, out_N);
  });
}

void Head::Logprobs(const Hidden& hidden,
                    std::span<const std::int32_t> row_N,
                    std::span<const std::int32_t> target_N,
                    float temperature,
                    std::span<float> logprob_N,
                    std::span<float> entropy_N,
                    std::span<std::int32_t> likeliest_N) {
  const cpu::Working working(cpu_.clock(), cpu::Work::kHead);
  workspace_.Reset();
  const Hidden rows = GatherRows(cpu_, hidden, row_N, workspace_);
  cpu::LogprobOutputs out;
  out.logprob = DataOf(logprob_N);
  out.entropy = DataOf(entropy_N);
  out.likeliest = DataOf(likeliest_N);
  WithType(hidden.kind, [&]<class T>(T) {
    cpu::TokenLogprobs<T>(cpu_, rows.as<T>(), weights_.head().matrix, target_N, temperature, out);
  });
}

void Head::LogprobsBackward(const Hidden& hidden,
                            std::span<const std::int32_t> row_N,
                            std::span<const std::int32_t> target_N,
                            float temperature,
                            const Slopes& slopes,
                            cpu::Rows<float> dhidden_TH,
                            Gradients* gradients,
                            TableUse use,
                            std::span<float> logprob_N,
                            std::span<float> entropy_N) {
  const cpu::Working working(cpu_.clock(), cpu::Work::kHeadGradient);
  workspace_.Reset();
  const Hidden rows = GatherRows(cpu_, hidden, row_N, workspace_);
  cpu::HeadGradient gradient;
  gradient.dlogprob = slopes.dlogprob_N.data();
  gradient.dentropy = DataOf(slopes.dentropy_N);
  gradient.logprob = DataOf(logprob_N);
  gradient.entropy = DataOf(entropy_N);
  gradient.head_transposed = &weights_.head().transposed;
  gradient.dhidden = workspace_.TakeRows<float>(row_N.size(), hidden.width);
  if (gradients != nullptr) gradient.dhead = gradients->table(use);
  // Each block of rows reads the head twice, and its gradient is read and written: larger blocks,
  // fewer times.
  cpu::HeadOptions options;
  options.block_bytes = std::size_t{80} << 20;
  WithType(hidden.kind, [&]<class T>(T) {
    cpu::TokenLogprobsBackward<T>(cpu_, rows.as<T>(), weights_.head().matrix, target_N, temperature,
                                  gradient, options);
  });
  for (std::size_t t = 0; t < dhidden_TH.count; ++t)
    std::fill_n(dhidden_TH[t], dhidden_TH.width, 0.0F);
  for (std::size_t n = 0; n < row_N.size(); ++n) {
    std::copy_n(gradient.dhidden[n], hidden.width, dhidden_TH[static_cast<std::size_t>(row_N[n])]);
  }
}

void Head::Logits(const Hidden& hidden,
                  std::span<const std::int32_t> row_N,
                  cpu::Rows<float> out_NV) {
  workspace_.Reset();
  const Hidden rows = GatherRows(cpu_, hidden, row_N, workspace_);
  WithType(hidden.kind,
           [&]<class T>(T) { cpu::Gemm(cpu_, rows.as<T>(), weights_.head().matrix, out_NV); });
}

}  // namespace aha::policy
