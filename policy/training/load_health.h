#pragma once
/// How evenly tokens went to the experts: what tells a router that works from one that collapsed.

#include <cstdint>
#include <vector>

namespace aha::policy {

/// Over the MoE layers of one update.
struct LoadHealth {
  double busiest_share = 0;  ///< of a layer's tokens that its busiest expert got, the worst layer
  double idlest_share = 0;   ///< that its idlest expert got, the worst layer
  std::int64_t dead = 0;     ///< experts without a token, all layers together
  double entropy =
      0;  ///< of the load over log(experts), mean of the layers: 1 is even, 0 one expert
};

/// @param load  tokens sent to each expert of each layer; a layer without tokens is left out.
LoadHealth LoadHealthOf(const std::vector<std::vector<std::int64_t>>& load);

}  // namespace aha::policy
