#include <algorithm>
#include <cmath>
#include <numbers>

#include <ATen/ops/empty.h>

#include "policy/model/policy.h"

namespace aha::policy {

std::vector<double> RopeInverseFrequencies(const PolicyConfig& config) {
  const auto width = static_cast<double>(config.qk_rope_head_dim);
  std::vector<double> inverse;
  for (std::int64_t j = 0; j < config.qk_rope_head_dim / 2; ++j) {
    inverse.push_back(std::pow(config.rope_theta, -2.0 * static_cast<double>(j) / width));
  }
  if (!config.yarn) return inverse;
  // Index at which a rotation turns n times over the original context.
  const auto turns_at = [&](double n) {
    const auto original = static_cast<double>(config.yarn->original_max_position_embeddings);
    return width * std::log(original / (n * 2 * std::numbers::pi)) / (2 * std::log(config.rope_theta));
  };
  const double low = std::max(std::floor(turns_at(config.yarn->beta_fast)), 0.0);
  double high = std::min(std::ceil(turns_at(config.yarn->beta_slow)), width - 1);
  if (low == high) high += 0.001;
  for (std::size_t j = 0; j < inverse.size(); ++j) {
    const double ramp = std::clamp((static_cast<double>(j) - low) / (high - low), 0.0, 1.0);
    inverse[j] = inverse[j] / config.yarn->factor * ramp + inverse[j] * (1 - ramp);
  }
  return inverse;
}

std::pair<at::Tensor, at::Tensor> RopeTables(const PolicyConfig& config, std::int64_t positions) {
  const std::vector<double> inverse = RopeInverseFrequencies(config);
  double amplitude = 1;
  if (config.yarn && config.yarn->factor > 1) {
    const auto gain = [&](double scale) { return 0.1 * scale * std::log(config.yarn->factor) + 1.0; };
    amplitude = gain(config.yarn->mscale) / (config.yarn->mscale_all_dim != 0 ? gain(config.yarn->mscale_all_dim) : 1.0);
  }
  const auto half = static_cast<std::int64_t>(inverse.size());
  at::Tensor cos = at::empty({positions, half}, at::kFloat);
  at::Tensor sin = at::empty({positions, half}, at::kFloat);
  auto* c = cos.mutable_data_ptr<float>();
  auto* s = sin.mutable_data_ptr<float>();
  for (std::int64_t p = 0; p < positions; ++p) {
    for (std::int64_t j = 0; j < half; ++j) {
      const double angle = static_cast<double>(p) * inverse[static_cast<std::size_t>(j)];
      c[p * half + j] = static_cast<float>(amplitude * std::cos(angle));
      s[p * half + j] = static_cast<float>(amplitude * std::sin(angle));
    }
  }
  return {cos, sin};
}

}  // namespace aha::policy
