#include <algorithm>
#include <cmath>
#include <numbers>

#include <ATen/ops/empty.h>

#include "policy/model/policy.h"

namespace aha::policy {
namespace {

// YaRN (arXiv:2309.00071): high frequencies stay, low ones are divided, a ramp over the index between.
void BlendYarn(const YarnScaling& yarn, double theta, double width, std::vector<double>& inverse) {
  // Index at which a rotation turns n times over the original context.
  const auto turns_at = [&](double n) {
    const auto original = static_cast<double>(yarn.original_max_position_embeddings);
    return width * std::log(original / (n * 2 * std::numbers::pi)) / (2 * std::log(theta));
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
  for (std::size_t j = 0; j < inverse.size(); ++j) {
    const double ramp = std::clamp((static_cast<double>(j) - low) / (high - low), 0.0, 1.0);
    inverse[j] = inverse[j] / yarn.factor * ramp + inverse[j] * (1 - ramp);
  }
}

// Llama 3.1: long waves are divided, short ones stay, those between are blended.
void BlendLlama3(const Llama3Scaling& scaling, std::vector<double>& inverse) {
  const auto original = static_cast<double>(scaling.original_max_position_embeddings);
  for (double& frequency : inverse) {
    const double wave = 2 * std::numbers::pi / frequency;
    if (wave > original / scaling.low_freq_factor) {
      frequency /= scaling.factor;
    } else if (wave >= original / scaling.high_freq_factor) {
      const double smooth = (original / wave - scaling.low_freq_factor) /
                            (scaling.high_freq_factor - scaling.low_freq_factor);
      frequency = frequency * ((1 - smooth) / scaling.factor + smooth);
    }
  }
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

std::vector<double> RopeInverseFrequencies(const PolicyConfig& config) {
  const auto width = static_cast<double>(config.rope_width());
  std::vector<double> inverse;
  for (std::int64_t j = 0; j < config.rope_width() / 2; ++j) {
    inverse.push_back(std::pow(config.rope_theta, -2.0 * static_cast<double>(j) / width) /
                      config.rope_linear_factor);
  }
  if (config.yarn) BlendYarn(*config.yarn, config.rope_theta, width, inverse);
  if (config.llama3) BlendLlama3(*config.llama3, inverse);
  return inverse;
}

Angles RopeAngles(const PolicyConfig& config, const at::Tensor& positions_T) {
  const std::vector<double> inverse = RopeInverseFrequencies(config);
  const double amplitude = Amplitude(config);
  const auto half = static_cast<std::int64_t>(inverse.size());
  const std::int64_t tokens = positions_T.numel();
  Angles angles{at::empty({tokens, half}, at::kFloat), at::empty({tokens, half}, at::kFloat)};
  auto* c = angles.cos_TD.mutable_data_ptr<float>();
  auto* s = angles.sin_TD.mutable_data_ptr<float>();
  const auto* position = positions_T.const_data_ptr<std::int64_t>();
  for (std::int64_t t = 0; t < tokens; ++t) {
    for (std::int64_t j = 0; j < half; ++j) {
      const double angle = static_cast<double>(position[t]) * inverse[static_cast<std::size_t>(j)];
      c[t * half + j] = static_cast<float>(amplitude * std::cos(angle));
      s[t * half + j] = static_cast<float>(amplitude * std::sin(angle));
    }
  }
  return angles;
}

}  // namespace aha::policy
