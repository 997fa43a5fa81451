#include "policy/kernels/cpu/router.h"

#include <algorithm>
#include <limits>
#include <vector>

#include "policy/kernels/cpu/gemm.h"
#include "policy/kernels/cpu/ops_kernels.h"

namespace aha::policy::cpu {
namespace {

constexpr float kTiny = 1e-20F;
constexpr float kNever = -std::numeric_limits<float>::infinity();

// exp(x - max) / sum, summed in order.
void Softmax(const OpsKernels& ops, float* x, std::size_t n) {
  const float most = *std::max_element(x, x + n);
  for (std::size_t i = 0; i < n; ++i)
    x[i] -= most;
  ops.exp(x, n, x);
  float sum = 0;
  for (std::size_t i = 0; i < n; ++i)
    sum += x[i];
  for (std::size_t i = 0; i < n; ++i)
    x[i] /= sum;
}

// Places of the `count` largest, largest first, the lower place among equals. What is taken becomes
// kNever in `values`.
template <class F>
void TakeLargest(std::span<float> values, std::size_t count, const F& take) {
  thread_local std::vector<bool> taken;
  taken.assign(values.size(), false);
  for (std::size_t c = 0; c < count; ++c) {
    std::size_t best = values.size();
    for (std::size_t i = 0; i < values.size(); ++i) {
      if (!taken[i] && (best == values.size() || values[i] > values[best])) best = i;
    }
    taken[best] = true;
    take(c, best);
  }
}

void KeepBestGroups(std::span<float> choice, const RouterRule& rule) {
  const std::size_t in_group = choice.size() / rule.groups;
  thread_local std::vector<float> score;
  score.resize(rule.groups);
  for (std::size_t g = 0; g < rule.groups; ++g) {
    float first = kNever, second = kNever;
    for (std::size_t i = 0; i < in_group; ++i) {
      const float value = choice[g * in_group + i];
      if (value > first) {
        second = first;
        first = value;
      } else {
        second = std::max(second, value);
      }
    }
    score[g] =
        rule.group_score == RouterRule::GroupScore::kBest || in_group < 2 ? first : first + second;
  }
  thread_local std::vector<bool> kept;
  kept.assign(rule.groups, false);
  TakeLargest(score, rule.kept_groups, [&](std::size_t, std::size_t g) { kept[g] = true; });
  for (std::size_t i = 0; i < choice.size(); ++i) {
    if (!kept[i / in_group]) choice[i] = kNever;
  }
}

void RouteToken(const OpsKernels& ops,
                std::span<float> score,
                const float* bias_E,
                const RouterRule& rule,
                std::int32_t* experts,
                float* weights) {
  if (rule.score == RouterRule::Score::kSigmoid) {
    ops.sigmoid(score.data(), score.size(), score.data());
  } else {
    Softmax(ops, score.data(), score.size());
  }
  thread_local std::vector<float> choice;
  choice.assign(score.begin(), score.end());
  if (bias_E != nullptr) {
    for (std::size_t e = 0; e < choice.size(); ++e)
      choice[e] += bias_E[e];
  }
  if (rule.groups > 1) KeepBestGroups(choice, rule);
  float sum = 0;
  TakeLargest(choice, rule.experts_per_token, [&](std::size_t k, std::size_t e) {
    experts[k] = static_cast<std::int32_t>(e);
    weights[k] = score[e];
    sum += score[e];
  });
  for (std::size_t k = 0; k < rule.experts_per_token; ++k) {
    weights[k] = (rule.normalise ? weights[k] / (sum + kTiny) : weights[k]) * rule.scaling;
  }
}

}  // namespace

template <class T>
void RouterLogits(const Cpu& cpu,
                  Rows<const T> x,
                  const PackedMatrix& gate_EH,
                  Rows<float> logits_TE) {
  if constexpr (std::is_same_v<T, float>) {
    Gemm(cpu, x, gate_EH, logits_TE);
  } else {
    thread_local std::vector<float> wide;
    wide.resize(x.count * x.width);
    const auto to_fp32 = OpsKernelsFor(cpu.target()).bf16.to_fp32;
    for (std::size_t t = 0; t < x.count; ++t)
      to_fp32(x[t], x.width, wide.data() + t * x.width);
    Gemm(cpu, Rows<const float>(wide.data(), x.count, x.width), gate_EH, logits_TE);
  }
}
template void RouterLogits<Bf16>(const Cpu&, Rows<const Bf16>, const PackedMatrix&, Rows<float>);
template void RouterLogits<float>(const Cpu&, Rows<const float>, const PackedMatrix&, Rows<float>);

void Route(const Cpu& cpu,
           Rows<const float> logits_TE,
           const float* bias_E,
           const RouterRule& rule,
           std::span<std::int32_t> experts_TK,
           std::span<float> weights_TK,
           float* scores_TE) {
  const OpsKernels& ops = OpsKernelsFor(cpu.target());
  const std::size_t experts = logits_TE.width;
  const std::size_t slots = rule.experts_per_token;
  cpu.pool().ParallelFor(logits_TE.count, 16, [&](std::size_t begin, std::size_t end) {
    thread_local std::vector<float> row;
    row.resize(experts);
    for (std::size_t t = begin; t < end; ++t) {
      std::copy_n(logits_TE[t], experts, row.data());
      RouteToken(ops, row, bias_E, rule, experts_TK.data() + t * slots,
                 weights_TK.data() + t * slots);
      if (scores_TE != nullptr) std::copy_n(row.data(), experts, scores_TE + t * experts);
    }
  });
}

void RouteBackward(const Cpu& cpu,
                   Rows<const float> scores_TE,
                   const RouterRule& rule,
                   std::span<const std::int32_t> experts_TK,
                   std::span<const float> dweights_TK,
                   Rows<float> dlogits_TE) {
  const std::size_t slots = rule.experts_per_token;
  cpu.pool().ParallelFor(scores_TE.count, 16, [&](std::size_t begin, std::size_t end) {
    for (std::size_t t = begin; t < end; ++t) {
      const float* score = scores_TE[t];
      float* d = dlogits_TE[t];
      std::fill_n(d, scores_TE.width, 0.0F);
      float sum = 0, mixed = 0;
      for (std::size_t k = 0; k < slots; ++k) {
        const float s = score[experts_TK[t * slots + k]];
        sum += s;
        mixed += dweights_TK[t * slots + k] * s;
      }
      // dscore of the chosen: scaling * dw, or scaling / sum * (dw - mean of dw by weight).
      for (std::size_t k = 0; k < slots; ++k) {
        const float dw = dweights_TK[t * slots + k];
        d[experts_TK[t * slots + k]] =
            rule.scaling * (rule.normalise ? (dw - mixed / (sum + kTiny)) / (sum + kTiny) : dw);
      }
      float inner = 0;
      if (rule.score == RouterRule::Score::kSoftmax) {
        for (std::size_t e = 0; e < scores_TE.width; ++e)
          inner += d[e] * score[e];
      }
      for (std::size_t e = 0; e < scores_TE.width; ++e) {
        d[e] = rule.score == RouterRule::Score::kSigmoid ? d[e] * score[e] * (1 - score[e])
                                                         : score[e] * (d[e] - inner);
      }
    }
  });
}

}  // namespace aha::policy::cpu
