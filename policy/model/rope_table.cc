#include "policy/model/rope_table.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace aha::policy {
namespace {

// By index, before any scaling: theta^(2j / width).
std::vector<float> Periods(const PolicyConfig& config) {
  std::vector<float> period_D;
  const auto width = static_cast<float>(config.rope_width());
  const auto theta = static_cast<float>(config.rope_theta);
  for (std::int64_t i = 0; i < config.rope_width(); i += 2) {
    period_D.push_back(
        static_cast<float>(std::pow(double{theta}, double{static_cast<float>(i) / width})));
  }
  return period_D;
}

// YaRN (arXiv:2309.00071): high frequencies stay, low ones are divided, a ramp over the index between.
std::vector<float> BlendYarn(const YarnScaling& yarn,
                             const PolicyConfig& config,
                             const std::vector<float>& period_D) {
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
  std::vector<float> frequency_D(period_D.size());
  for (std::size_t j = 0; j < period_D.size(); ++j) {
    const float place =
        (static_cast<float>(j) - static_cast<float>(low)) / static_cast<float>(high - low);
    const float kept = 1.0F - std::clamp(place, 0.0F, 1.0F);
    const float divided = 1.0F / (period_D[j] * static_cast<float>(yarn.factor));
    frequency_D[j] = divided * (1.0F - kept) + 1.0F / period_D[j] * kept;
  }
  return frequency_D;
}

// Llama 3.1: long waves are divided, short ones stay, those between are blended.
std::vector<float> BlendLlama3(const Llama3Scaling& scaling, const std::vector<float>& period_D) {
  const auto original = static_cast<double>(scaling.original_max_position_embeddings);
  const auto factor = static_cast<float>(scaling.factor);
  std::vector<float> frequency_D(period_D.size());
  for (std::size_t j = 0; j < period_D.size(); ++j) {
    const float frequency = 1.0F / period_D[j];
    const float wave = 1.0F / frequency * static_cast<float>(2 * std::numbers::pi);
    const bool is_long = wave > static_cast<float>(original / scaling.low_freq_factor);
    const bool is_short = wave < static_cast<float>(original / scaling.high_freq_factor);
    const float smooth =
        (1.0F / wave * static_cast<float>(original) - static_cast<float>(scaling.low_freq_factor)) /
        static_cast<float>(scaling.high_freq_factor - scaling.low_freq_factor);
    if (is_long) {
      frequency_D[j] = frequency / factor;
    } else if (is_short) {
      frequency_D[j] = frequency;
    } else {
      frequency_D[j] = (1.0F - smooth) * frequency / factor + smooth * frequency;
    }
  }
  return frequency_D;
}

// Factor on cos and sin, as transformers has it: both mscales or none.
double Amplitude(const PolicyConfig& config) {
  if (!config.yarn) return 1;
  const YarnScaling& yarn = *config.yarn;
  if (yarn.attention_factor) return *yarn.attention_factor;
  if (yarn.factor <= 1) return 1;
  const auto gain = [&](double scale) { return 0.1 * scale * std::log(yarn.factor) + 1.0; };
  const bool both = yarn.mscale != 0 && yarn.mscale_all_dim != 0;
  return both ? gain(yarn.mscale) / gain(yarn.mscale_all_dim) : gain(1);
}

}  // namespace

std::vector<float> RotaryFrequencies(const PolicyConfig& config) {
  const std::vector<float> period_D = Periods(config);
  if (config.yarn) return BlendYarn(*config.yarn, config, period_D);
  if (config.llama3) return BlendLlama3(*config.llama3, period_D);
  std::vector<float> frequency_D;
  for (const float period : period_D)
    frequency_D.push_back(1.0F / period / static_cast<float>(config.rope_linear_factor));
  return frequency_D;
}

RopeTable::RopeTable(const PolicyConfig& config)
    : frequency_D_(RotaryFrequencies(config)), amplitude_(static_cast<float>(Amplitude(config))) {}

void RopeTable::Reach(std::size_t count) {
  if (count <= positions_) return;
  // Doubled, so that a sequence which grows token by token rarely comes here.
  const std::size_t wanted = std::max(count, 2 * positions_);
  cos_PD_.resize(wanted * frequency_D_.size());
  sin_PD_.resize(wanted * frequency_D_.size());
  for (std::size_t p = positions_; p < wanted; ++p) {
    for (std::size_t j = 0; j < frequency_D_.size(); ++j) {
      const float angle = static_cast<float>(p) * frequency_D_[j];
      cos_PD_[p * frequency_D_.size() + j] =
          static_cast<float>(std::cos(double{angle})) * amplitude_;
      sin_PD_[p * frequency_D_.size() + j] =
          static_cast<float>(std::sin(double{angle})) * amplitude_;
    }
  }
  positions_ = wanted;
}

}  // namespace aha::policy
