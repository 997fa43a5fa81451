#include "pipelines/report/curve.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "pipelines/report/axis.h"

namespace aha::pipelines {
namespace {

/// Values met at one x, or in one run of neighbours.
struct Spread {
  double sum = 0, low = 0, high = 0;
  std::size_t count = 0;

  void Add(double mean, double lowest, double highest) {
    low = count == 0 ? lowest : std::min(low, lowest);
    high = count == 0 ? highest : std::max(high, highest);
    sum += mean;
    ++count;
  }
  [[nodiscard]] CurvePoint At(double x) const {
    if (count == 0) return {x, kUnknown, kUnknown, kUnknown};
    return {x, sum / static_cast<double>(count), low, high};
  }
};

/// Runs of `run` neighbours as one point each, so that a curve of 10,000 steps stays small.
std::vector<CurvePoint> MergeNeighbours(const std::vector<CurvePoint>& points, std::size_t run) {
  std::vector<CurvePoint> merged;
  for (std::size_t first = 0; first < points.size(); first += run) {
    const std::size_t end = std::min(first + run, points.size());
    Spread spread;
    double x = 0;
    for (std::size_t i = first; i < end; ++i) {
      x += points[i].x / static_cast<double>(end - first);
      if (!std::isnan(points[i].mean)) spread.Add(points[i].mean, points[i].low, points[i].high);
    }
    merged.push_back(spread.At(x));
  }
  return merged;
}

}  // namespace

bool Curve::empty() const {
  return std::all_of(points.begin(), points.end(),
                     [](const CurvePoint& p) { return std::isnan(p.mean); });
}

std::vector<Curve> FoldSeeds(const std::vector<Series>& series) {
  std::vector<Curve> curves;
  std::map<std::string, std::size_t> index;
  std::vector<std::map<double, Spread>> spreads;
  for (const Series& one : series) {
    const auto [at, fresh] = index.try_emplace(one.name, curves.size());
    if (fresh) {
      curves.push_back({one.name, {}, 0, 1});
      spreads.emplace_back();
    }
    ++curves[at->second].seeds;
    for (std::size_t i = 0; i < std::min(one.x.size(), one.y.size()); ++i) {
      if (!Drawable(one.x[i])) continue;
      Spread& spread = spreads[at->second][one.x[i]];
      if (Drawable(one.y[i])) spread.Add(one.y[i], one.y[i], one.y[i]);
    }
  }
  for (std::size_t c = 0; c < curves.size(); ++c) {
    for (const auto& [x, spread] : spreads[c])
      curves[c].points.push_back(spread.At(x));
    curves[c].merged = (curves[c].points.size() + kMostPoints - 1) / kMostPoints;
    if (curves[c].merged > 1) {
      curves[c].points = MergeNeighbours(curves[c].points, curves[c].merged);
    } else {
      curves[c].merged = 1;
    }
  }
  return curves;
}

}  // namespace aha::pipelines
