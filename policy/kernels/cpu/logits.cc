#include "policy/kernels/cpu/logits.h"

#include <algorithm>
#include <array>

#include "policy/kernels/cpu/candidates.h"
#include "policy/kernels/cpu/gemm.h"
#include "policy/kernels/cpu/logits_kernels.h"
#include "policy/kernels/cpu/weight_gradient.h"

namespace aha::policy::cpu {
namespace {

// Calls f(first row, logits of the block) for blocks of rows that fit.
template <class T, class F>
void EachBlock(const Cpu& cpu,
               const Rows<const T>& hidden,
               const PackedMatrix& head,
               const HeadOptions& options,
               std::size_t bytes_a_logit,
               const F& f) {
  const std::size_t row_bytes = head.n() * bytes_a_logit;
  // Rows a power of two apart would fight for the same lines of the cache.
  const std::size_t stride = (head.n() + 15) / 16 * 16 + 16;
  const std::size_t block = std::clamp<std::size_t>(options.block_bytes / row_bytes, 1,
                                                    std::max<std::size_t>(1, hidden.count));
  auto* memory = static_cast<float*>(
      ThreadScratch(ScratchSlot::kLogits, std::min(block, hidden.count) * stride * sizeof(float)));
  for (std::size_t start = 0; start < hidden.count; start += block) {
    const std::size_t rows = std::min(block, hidden.count - start);
    const Rows<float> logits(memory, rows, head.n(), stride);
    {
      const Working working(cpu.clock(), Work::kHead);
      Gemm(cpu, Rows<const T>(hidden[start], rows, hidden.width, hidden.stride), head, logits);
    }
    f(start, logits);
  }
}

template <class F>
void EachRow(const Cpu& cpu, std::size_t rows, const F& f) {
  cpu.pool().ParallelFor(rows, 1, [&](std::size_t begin, std::size_t end) {
    for (std::size_t r = begin; r < end; ++r)
      f(r);
  });
}

float LogprobOf(float logit, const LogitStats& stats) {
  return (logit - stats.most) - stats.log_sum;
}

// Up to kPickRows rows of logits.
void SampleSome(const LogitsKernels& kernels,
                const HeadOptions& options,
                const Rows<float>& logits,
                std::span<const SampleRequest> requests,
                std::span<SampledToken> out) {
  std::array<PickRow, kPickRows> picked;
  std::array<std::size_t, kPickRows> row_of{};
  std::size_t count = 0;
  auto* sums = static_cast<float*>(ThreadScratch(
      ScratchSlot::kTile, (logits.width + kPickBlock - 1) / kPickBlock * sizeof(float)));
  for (std::size_t r = 0; r < logits.count; ++r) {
    const bool greedy = requests[r].temperature == 0;
    const LogitStats stats = kernels.stats(
        logits[r], logits.width, greedy ? 1 : requests[r].temperature, options.round_bf16, sums);
    out[r].entropy = stats.entropy;
    PickRow row = {logits[r], stats, requests[r].draw, 0, sums};
    const Truncation truncation = {requests[r].top_k, requests[r].top_p, requests[r].min_p};
    bool found = greedy;
    if (greedy) {
      row.token = kernels.likeliest(logits[r], logits.width, stats);
    } else if (truncation.off()) {
      found = kernels.pick_by_sums(row, logits.width);
    } else {
      KeepCandidates(logits[r], logits.width, stats, truncation);
    }
    if (found) {
      out[r].token = row.token;
      out[r].logprob = LogprobOf(logits[r][row.token], stats);
    } else {
      picked[count] = row;
      row_of[count++] = r;
    }
  }
  if (count > 0) kernels.pick(picked.data(), count, logits.width);
  for (std::size_t i = 0; i < count; ++i) {
    SampledToken& token = out[row_of[i]];
    token.token = picked[i].token;
    token.logprob = LogprobOf(picked[i].x[picked[i].token], picked[i].stats);
  }
}

}  // namespace

template <class T>
void SampleTokens(const Cpu& cpu,
                  Rows<const T> hidden_TH,
                  const PackedMatrix& head_VH,
                  std::span<const SampleRequest> requests_T,
                  std::span<SampledToken> out_T,
                  const HeadOptions& options) {
  const LogitsKernels& kernels = LogitsKernelsFor(cpu.target());
  EachBlock(cpu, hidden_TH, head_VH, options, sizeof(float),
            [&](std::size_t start, const Rows<float>& logits) {
              const Working working(cpu.clock(), Work::kSampling);
              cpu.pool().ParallelFor(logits.count, 1, [&](std::size_t begin, std::size_t end) {
                for (std::size_t r = begin; r < end; r += kPickRows) {
                  const std::size_t some = std::min(kPickRows, end - r);
                  SampleSome(kernels, options,
                             Rows<float>(logits[r], some, logits.width, logits.stride),
                             requests_T.subspan(start + r, some), out_T.subspan(start + r, some));
                }
              });
            });
}

template <class T>
void TokenLogprobs(const Cpu& cpu,
                   Rows<const T> hidden_TH,
                   const PackedMatrix& head_VH,
                   std::span<const std::int32_t> target_T,
                   float temperature,
                   const LogprobOutputs& out,
                   const HeadOptions& options) {
  const LogitsKernels& kernels = LogitsKernelsFor(cpu.target());
  EachBlock(cpu, hidden_TH, head_VH, options, sizeof(float),
            [&](std::size_t start, const Rows<float>& logits) {
              EachRow(cpu, logits.count, [&](std::size_t r) {
                const LogitStats stats = kernels.stats(logits[r], logits.width, temperature,
                                                       options.round_bf16, nullptr);
                const std::size_t t = start + r;
                if (out.logprob != nullptr)
                  out.logprob[t] = LogprobOf(logits[r][target_T[t]], stats);
                if (out.entropy != nullptr) out.entropy[t] = stats.entropy;
                if (out.most != nullptr) out.most[t] = stats.most;
                if (out.log_sum != nullptr) out.log_sum[t] = stats.log_sum;
                if (out.likeliest != nullptr)
                  out.likeliest[t] = kernels.likeliest(logits[r], logits.width, stats);
              });
            });
}

template <class T>
void TokenLogprobsBackward(const Cpu& cpu,
                           Rows<const T> hidden_TH,
                           const PackedMatrix& head_VH,
                           std::span<const std::int32_t> target_T,
                           float temperature,
                           const HeadGradient& gradient,
                           const HeadOptions& options) {
  const LogitsKernels& kernels = LogitsKernelsFor(cpu.target());
  EachBlock(
      cpu, hidden_TH, head_VH, options, sizeof(float) + sizeof(T),
      [&](std::size_t start, const Rows<float>& logits) {
        const std::size_t stride = (logits.width + 31) / 32 * 32 + 32;
        const std::size_t numbers = logits.count * stride;
        auto* memory = static_cast<T*>(ThreadScratch(ScratchSlot::kSlopes, numbers * sizeof(T)));
        const Rows<T> slopes(memory, logits.count, logits.width, stride);
        EachRow(cpu, logits.count, [&](std::size_t r) {
          const LogitStats stats =
              kernels.stats(logits[r], logits.width, temperature, options.round_bf16, nullptr);
          if (gradient.logprob != nullptr)
            gradient.logprob[start + r] = LogprobOf(logits[r][target_T[start + r]], stats);
          if (gradient.entropy != nullptr) gradient.entropy[start + r] = stats.entropy;
          const float dlogprob = gradient.dlogprob[start + r];
          const float dentropy = gradient.dentropy == nullptr ? 0 : gradient.dentropy[start + r];
          const auto target = static_cast<std::size_t>(target_T[start + r]);
          if constexpr (std::is_same_v<T, Bf16>) {
            kernels.backward_bf16(logits[r], logits.width, stats, target, dlogprob, dentropy,
                                  temperature, slopes[r]);
          } else {
            kernels.backward_fp32(logits[r], logits.width, stats, target, dlogprob, dentropy,
                                  temperature, slopes[r]);
          }
        });
        const Rows<const T> read = slopes;
        Gemm(cpu, read, *gradient.head_transposed,
             Rows<float>(gradient.dhidden[start], logits.count, gradient.dhidden.width,
                         gradient.dhidden.stride));
        if (gradient.dhead.data == nullptr) return;
        WeightGradient(
            cpu, read,
            Rows<const T>(hidden_TH[start], logits.count, hidden_TH.width, hidden_TH.stride),
            gradient.dhead);
      });
}

#define AHA_FOR(T)                                                                            \
  template void SampleTokens<T>(const Cpu&, Rows<const T>, const PackedMatrix&,               \
                                std::span<const SampleRequest>, std::span<SampledToken>,      \
                                const HeadOptions&);                                          \
  template void TokenLogprobs<T>(const Cpu&, Rows<const T>, const PackedMatrix&,              \
                                 std::span<const std::int32_t>, float, const LogprobOutputs&, \
                                 const HeadOptions&);                                         \
  template void TokenLogprobsBackward<T>(const Cpu&, Rows<const T>, const PackedMatrix&,      \
                                         std::span<const std::int32_t>, float,                \
                                         const HeadGradient&, const HeadOptions&);
AHA_FOR(Bf16)
AHA_FOR(float)
#undef AHA_FOR

}  // namespace aha::policy::cpu
