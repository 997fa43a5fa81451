// Rotary angles with the roundings of transformers' own code: frequencies, their product with a
// position, cosine and sine are fp32 (at position 1000, exact angles would be off by 1e-4 from what
// models were trained with).

#include <algorithm>
#include <cmath>
#include <numbers>

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/clamp.h>
#include <ATen/ops/cos.h>
#include <ATen/ops/pow.h>
#include <ATen/ops/sin.h>
#include <ATen/ops/where.h>

#include "policy/reference/policy.h"

namespace aha::policy::reference {
namespace {

// Frequencies by index, before any scaling: theta^(2j / width).
at::Tensor Periods(const PolicyConfig& config) {
  const auto width = static_cast<double>(config.rope_width());
  return at::pow(config.rope_theta, at::arange(0, config.rope_width(), 2, at::kFloat) / width);
}

// YaRN (arXiv:2309.00071): high frequencies stay, low ones are divided, a ramp over the index between.
at::Tensor BlendYarn(const YarnScaling& yarn,
                     const PolicyConfig& config,
                     const at::Tensor& period_D) {
  const auto width = static_cast<double>(config.rope_width());
  // Index at which a rotation turns n times over the original context.
  const auto turns_at = [&](double n) {
    const auto original = static_cast<double>(yarn.original_max_position_embeddings);
    return width * std::log(original / (n * 2 * std::numbers::pi)) /
           (2 * std::log(config.rope_theta));
  };
  double low = turns_at(yarn.beta_fast);
  double high = turns_at(yarn.beta_slow);
  if (yarn.truncate) {
    low = std::floor(low);
    high = std::ceil(high);
  }
  low = std::max(low, 0.0);
  high = std::min(high, width - 1);
  if (low == high) high += 0.001;
  const at::Tensor index_D = at::arange(0, period_D.size(0), at::kFloat);
  const at::Tensor kept_D = 1 - at::clamp((index_D - low) / (high - low), 0, 1);
  return (period_D * yarn.factor).reciprocal() * (1 - kept_D) + period_D.reciprocal() * kept_D;
}

// Llama 3.1: long waves are divided, short ones stay, those between are blended.
at::Tensor BlendLlama3(const Llama3Scaling& scaling, const at::Tensor& frequency_D) {
  const auto original = static_cast<double>(scaling.original_max_position_embeddings);
  const at::Tensor wave_D = frequency_D.reciprocal() * (2 * std::numbers::pi);
  const at::Tensor long_D = wave_D.gt(original / scaling.low_freq_factor);
  const at::Tensor short_D = wave_D.lt(original / scaling.high_freq_factor);
  const at::Tensor divided_D = at::where(long_D, frequency_D / scaling.factor, frequency_D);
  const at::Tensor smooth_D = (wave_D.reciprocal() * original - scaling.low_freq_factor) /
                              (scaling.high_freq_factor - scaling.low_freq_factor);
  const at::Tensor blended_D = (1 - smooth_D) * divided_D / scaling.factor + smooth_D * divided_D;
  return at::where(long_D.logical_or(short_D), divided_D, blended_D);
}

// Factor on cos and sin, as transformers has it: both mscales or none.
double Amplitude(const PolicyConfig& config) {
  if (!config.yarn) return 1;
  const YarnScaling& yarn = *config.yarn;
  if (yarn.attention_factor) return *yarn.attention_factor;
  if (yarn.factor <= 1) return 1;
  const auto gain = [&](double scale) { return 0.1 * scale * std::log(yarn.factor) + 1.0; };
  return yarn.mscale != 0 && yarn.mscale_all_dim != 0
             ? gain(yarn.mscale) / gain(yarn.mscale_all_dim)
             : gain(1);
}

}  // namespace

at::Tensor RopeFrequencies(const PolicyConfig& config) {
  const at::Tensor period_D = Periods(config);
  if (config.yarn) return BlendYarn(*config.yarn, config, period_D);
  if (config.llama3) return BlendLlama3(*config.llama3, period_D.reciprocal());
  return period_D.reciprocal() / config.rope_linear_factor;
}

Angles RopeAngles(const PolicyConfig& config, const at::Tensor& positions_T) {
  const at::Tensor angle_TD =
      positions_T.to(at::kFloat).unsqueeze(1) * RopeFrequencies(config).to(positions_T.device());
  const double amplitude = Amplitude(config);
  return {at::cos(angle_TD) * amplitude, at::sin(angle_TD) * amplitude};
}

}  // namespace aha::policy::reference
