#pragma once
/// Group-relative advantages (DeepSeekMath, arXiv:2402.03300, section 4.1.2; DeepSeek-R1,
/// arXiv:2501.12948, eq. 3).

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace aha::grpo {

/// What centred rewards are divided by. The papers do not say which standard deviation is meant.
enum class GroupScale : std::uint8_t {
  kSample,      ///< std with n-1, as TRL and verl take it
  kPopulation,  ///< std with n
  kNone,        ///< 1: Dr. GRPO
};

/// A_i = (r_i - mean(r)) / (std(r) + epsilon) over the valid rewards of one group. Computed in
/// float64, and a group whose valid rewards are all equal gets exact zeros.
///
/// @param rewards  one a sample; unset where the verifier failed (law 5): out of mean and
///                 standard deviation, advantage 0.
/// @param epsilon  added to the standard deviation: 0, or 1e-4 as TRL, 1e-6 as verl.
/// @return one a sample, dimensionless. Fewer than two valid rewards: zeros.
std::vector<double> GroupAdvantages(std::span<const std::optional<double>> rewards,
                                    GroupScale scale,
                                    double epsilon = 1e-6);

}  // namespace aha::grpo
