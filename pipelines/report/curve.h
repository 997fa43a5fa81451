#pragma once
/// The seeds of one thing folded into one curve.

#include <string>
#include <vector>

#include "pipelines/report/report.h"

namespace aha::pipelines {

struct CurvePoint {
  double x = 0;
  double mean = kUnknown;                  ///< NaN: a gap
  double low = kUnknown, high = kUnknown;  ///< over seeds, and over what was merged
};

struct Curve {
  std::string name;
  std::vector<CurvePoint> points;    ///< by x
  std::size_t seeds = 0;             ///< series folded in
  std::size_t merged = 1;            ///< neighbours merged into one point
  [[nodiscard]] bool empty() const;  ///< no point has a mean
};

/// More points than this are merged: a chart has no more pixels.
inline constexpr std::size_t kMostPoints = 400;

/// One curve for each name, in order of first appearance. At each x, over the seeds that have a
/// value there: mean, minimum, maximum. Points without a drawable x are left out.
std::vector<Curve> FoldSeeds(const std::vector<Series>& series);

}  // namespace aha::pipelines
