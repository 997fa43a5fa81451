#include "pipelines/report/axis.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

namespace aha::pipelines {
namespace {

constexpr int kMostTicks = 50;
constexpr double kSlack = 1e-9;  // of a step: 0.3 / 0.1 must count as 3

bool HasWidth(double low, double high) {
  return high - low > 1e-9 * std::max(std::abs(low), std::abs(high));
}

void Widen(double& low, double& high) {
  if (HasWidth(low, high)) return;
  const double pad = low == 0 ? 1 : std::abs(low) * 0.1;
  low -= pad;
  high += pad;
}

void PlaceTicks(Axis& axis) {
  const double first = std::ceil(axis.low / axis.step - kSlack);
  const double last = std::floor(axis.high / axis.step + kSlack);
  for (int i = 0; i < kMostTicks && first + i <= last; ++i) {
    axis.ticks.push_back((first + i) * axis.step + 0.0);  // + 0.0 turns -0 into 0
  }
}

/// "1e-05" without its padding: "1e-5".
std::string Scientific(double value) {
  const int exponent = static_cast<int>(std::floor(std::log10(std::abs(value)) + kSlack));
  const double mantissa = value / std::pow(10.0, exponent);
  return fmt::format("{:.3g}e{}", mantissa, exponent);
}

std::string AsciiLabel(double value, double step) {
  if (value == 0) return "0";
  if (step < 1e-4 || std::abs(value) >= 1e12) return Scientific(value);
  if (std::abs(value) >= 1e4 || step >= 1e3) {
    const bool millions = std::abs(value) >= 1e6;
    return fmt::format("{:.10g}{}", value / (millions ? 1e6 : 1e3), millions ? "M" : "k");
  }
  const int decimals = step >= 1 ? 0 : static_cast<int>(std::ceil(-std::log10(step) - kSlack));
  return fmt::format("{:.{}f}", value, decimals);
}

}  // namespace

bool Drawable(double value) {
  return std::isfinite(value) && std::abs(value) <= kLargestDrawn;
}

double NiceStep(double span, int most) {
  const double raw = span / most;
  const double power = std::pow(10.0, std::floor(std::log10(raw)));
  for (const double nice : {1.0, 2.0, 5.0}) {
    if (nice * power >= raw * (1 - kSlack)) return nice * power;
  }
  return 10 * power;
}

Axis ExactAxis(double low, double high, int most, double least_step) {
  Widen(low, high);
  Axis axis{low, high, std::max(NiceStep(high - low, most), least_step), {}};
  PlaceTicks(axis);
  return axis;
}

Axis RoundedAxis(double low, double high, int most) {
  Widen(low, high);
  const double step = NiceStep(high - low, most);
  Axis axis{
      std::floor(low / step + kSlack) * step, std::ceil(high / step - kSlack) * step, step, {}};
  PlaceTicks(axis);
  return axis;
}

std::string TickLabel(double value, double step) {
  std::string label;
  for (const char c : AsciiLabel(value, step)) {
    if (c == '-') {
      label += "−";
    } else {
      label += c;
    }
  }
  return label;
}

}  // namespace aha::pipelines
