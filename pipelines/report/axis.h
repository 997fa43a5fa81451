#pragma once
/// Axes with ticks at 1, 2 or 5 times a power of ten.

#include <string>
#include <vector>

namespace aha::pipelines {

struct Axis {
  double low = 0, high = 1;
  double step = 1;
  std::vector<double> ticks;  ///< multiples of `step` in [low, high]
};

/// The largest magnitude that is drawn; beyond it a value counts as missing.
inline constexpr double kLargestDrawn = 1e100;
bool Drawable(double value);

/// The smallest 1, 2 or 5 times a power of ten that cuts `span` (> 0) into at most `most`
/// intervals.
double NiceStep(double span, int most);

/// An axis over exactly [low, high]; a range without width is widened around its value first.
/// Ticks are at least `least_step` apart. Both ends must be drawable and low <= high.
Axis ExactAxis(double low, double high, int most, double least_step = 0);

/// As ExactAxis, but the ends move outwards to the nearest ticks.
Axis RoundedAxis(double low, double high, int most);

/// A tick's label with as many decimals as `step` needs: "0.25", "−5", "20k", "2e−5".
std::string TickLabel(double value, double step);

}  // namespace aha::pipelines
