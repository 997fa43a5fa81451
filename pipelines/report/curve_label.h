#pragma once
/// Where the names of curves go: beside their right ends, kept apart; a curve that ends well before
/// the others is named inside the plot, where it is emptiest.

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace aha::pipelines {

/// The plotting area in chart units; y grows downwards.
struct PlotBox {
  double left = 0, top = 0, right = 0, bottom = 0;
};

struct PlotPoint {
  double x = 0, y = 0;
};

struct LabelledCurve {
  std::string name;
  std::vector<PlotPoint> points;  ///< those with a value, left to right; none: no label
};

struct CurveLabel {
  std::size_t curve = 0;  ///< index of the curve
  std::string text;
  double x = 0, y = 0;  ///< baseline
  std::string_view anchor = "start";
  std::optional<double> leader_y;  ///< where the curve ends, if the label had to move away from it
};

inline constexpr double kLabelGap = 9;  ///< between the plot and the labels at its right

/// The name, cut to 18 columns with an ellipsis.
std::string ShortLabel(std::string_view name);
/// An estimate of its width in chart units.
double LabelWidth(std::string_view text);

std::vector<CurveLabel> PlaceLabels(const std::vector<LabelledCurve>& curves, const PlotBox& box);

}  // namespace aha::pipelines
