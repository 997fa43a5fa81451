#include "policy/training/load_health.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace aha::policy {

LoadHealth LoadHealthOf(const std::vector<std::vector<std::int64_t>>& load) {
  LoadHealth health;
  double layers = 0;
  for (const std::vector<std::int64_t>& layer : load) {
    const auto total =
        static_cast<double>(std::accumulate(layer.begin(), layer.end(), std::int64_t{0}));
    if (!(total > 0)) continue;
    double entropy = 0;
    for (const std::int64_t tokens : layer) {
      const double share = static_cast<double>(tokens) / total;
      if (tokens == 0) ++health.dead;
      if (tokens > 0) entropy -= share * std::log(share);
    }
    const auto [least, most] = std::minmax_element(layer.begin(), layer.end());
    health.busiest_share = std::max(health.busiest_share, static_cast<double>(*most) / total);
    const double idlest = static_cast<double>(*least) / total;
    health.idlest_share = layers == 0 ? idlest : std::min(health.idlest_share, idlest);
    health.entropy += layer.size() > 1 ? entropy / std::log(static_cast<double>(layer.size())) : 1;
    ++layers;
  }
  if (layers > 0) health.entropy /= layers;
  return health;
}

}  // namespace aha::policy
