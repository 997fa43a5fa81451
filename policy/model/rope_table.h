#pragma once
/// Rotary angles as cosines and sines by position, with the roundings of transformers' own code:
/// frequencies, their product with a position, cosine and sine are fp32.
///
/// Shapes: P positions, D rotated pairs of a head.

#include <cstddef>
#include <vector>

#include "policy/config.h"
#include "policy/kernels/cpu/numbers.h"

namespace aha::policy {

/// Frequencies, scaling applied: [D].
std::vector<float> RotaryFrequencies(const PolicyConfig& config);

/// Scaled as YaRN wants. Positions are added as they are asked for.
class RopeTable {
 public:
  explicit RopeTable(const PolicyConfig& config);
  /// Makes sure of positions [0, count).
  void Reach(std::size_t count);
  [[nodiscard]] cpu::Rows<const float> cos() const {
    return {cos_PD_.data(), positions_, frequency_D_.size()};
  }
  [[nodiscard]] cpu::Rows<const float> sin() const {
    return {sin_PD_.data(), positions_, frequency_D_.size()};
  }

 private:
  std::vector<float> frequency_D_;
  float amplitude_;
  std::size_t positions_ = 0;
  std::vector<float> cos_PD_, sin_PD_;
};

}  // namespace aha::policy
