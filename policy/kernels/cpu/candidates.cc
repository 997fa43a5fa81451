#include "policy/kernels/cpu/candidates.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "policy/kernels/cpu/cpu.h"

namespace aha::policy::cpu {
namespace {

// A row's tokens by likelihood, largest first, the lower id among equals: sorted as far as anybody
// has looked.
class Ranking {
 public:
  Ranking(const float* x, std::size_t n)
      : x_(x),
        n_(n),
        ids_(static_cast<std::int32_t*>(
            ThreadScratch(ScratchSlot::kMix, n * sizeof(std::int32_t)))) {
    std::iota(ids_, ids_ + n, 0);
  }

  std::int32_t operator[](std::size_t place) {
    while (place >= sorted_) {
      const std::size_t more = std::min(n_ - sorted_, std::max<std::size_t>(256, sorted_));
      const auto before = [this](std::int32_t a, std::int32_t b) {
        return x_[a] != x_[b] ? x_[a] > x_[b] : a < b;
      };
      if (sorted_ + more < n_)
        std::nth_element(ids_ + sorted_, ids_ + sorted_ + more, ids_ + n_, before);
      std::sort(ids_ + sorted_, ids_ + sorted_ + more, before);
      sorted_ += more;
    }
    return ids_[place];
  }

 private:
  const float* x_;
  std::size_t n_, sorted_ = 0;
  std::int32_t* ids_;
};

}  // namespace

void KeepCandidates(float* x,
                    std::size_t n,
                    const LogitStats& stats,
                    const Truncation& truncation) {
  if (truncation.off() || !std::isfinite(stats.log_sum)) return;
  const auto probability = [&](std::size_t id) {
    return std::exp(double{(x[id] - stats.most) - stats.log_sum});
  };
  const double least =
      truncation.min_p > 0 ? double{truncation.min_p} * std::exp(-double{stats.log_sum}) : 0;
  const std::size_t by_k = truncation.top_k > 0 ? std::min<std::size_t>(truncation.top_k, n) : n;
  const float rejected = -std::numeric_limits<float>::infinity();
  // The last token in rank that stays; all may, but for min_p.
  std::int32_t last = -1;
  float line = rejected;
  if (by_k < n || truncation.top_p < 1) {
    Ranking ranking(x, n);
    std::size_t kept = by_k;
    if (truncation.top_p < 1) {
      double total = 0;
      if (by_k < n) {
        for (std::size_t i = 0; i < by_k; ++i)
          total += probability(static_cast<std::size_t>(ranking[i]));
      } else {
        for (std::size_t id = 0; id < n; ++id)
          total += probability(id);
      }
      double sum = 0;
      kept = 0;
      while (kept < by_k && (kept == 0 || sum < double{truncation.top_p} * total)) {
        sum += probability(static_cast<std::size_t>(ranking[kept++]));
      }
    }
    last = ranking[kept - 1];
    line = x[last];
  }
  for (std::size_t id = 0; id < n; ++id) {
    const bool ranked =
        x[id] > line || (x[id] == line && (last < 0 || static_cast<std::int32_t>(id) <= last));
    if (!ranked || probability(id) < least) x[id] = rejected;
  }
}

}  // namespace aha::policy::cpu
