#include "pipelines/report/chart.h"

#include <algorithm>
#include <cmath>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "pipelines/report/axis.h"
#include "pipelines/report/curve.h"
#include "pipelines/report/curve_label.h"
#include "pipelines/report/markup.h"

namespace aha::pipelines {
namespace {

// Chart units are CSS pixels when a chart is shown at its natural width.
constexpr double kWidth = 400, kHeight = 236;
constexpr double kLeft = 40, kTop = 24, kBottom = 36;
constexpr double kBleed = 3;  // strokes on the frame's edge are drawn whole
constexpr std::size_t kMostHover = 150;

/// Where the data lies on the paper.
struct Plot {
  Axis x, y;
  PlotBox box;
  [[nodiscard]] double X(double v) const {
    return box.left + (v - x.low) / (x.high - x.low) * (box.right - box.left);
  }
  [[nodiscard]] double Y(double v) const {
    return box.bottom - (v - y.low) / (y.high - y.low) * (box.bottom - box.top);
  }
};

struct Extent {
  double low = 0, high = 0;
  bool any = false;
  void Add(double v) {
    low = any ? std::min(low, v) : v;
    high = any ? std::max(high, v) : v;
    any = true;
  }
};

bool IsWhole(double v) {
  return v == std::floor(v);
}

/// The ends the chart asks for, where they make sense, else the data's moved out to ticks.
Axis YAxis(const Chart& chart, const Extent& data) {
  constexpr int kMost = 5;
  double low = data.any ? data.low : 0, high = data.any ? data.high : 1;
  const bool low_fixed = chart.y_min && Drawable(*chart.y_min);
  const bool high_fixed = chart.y_max && Drawable(*chart.y_max);
  if (low_fixed) low = *chart.y_min;
  if (high_fixed) high = *chart.y_max;
  if (low > high) std::swap(low, high);
  const Axis rounded = RoundedAxis(low, high, kMost);
  if (low == high) return rounded;
  return ExactAxis(low_fixed ? low : rounded.low, high_fixed ? high : rounded.high, kMost);
}

Plot LayOut(const Chart& chart, const std::vector<Curve>& curves, double label_room) {
  Extent x, y;
  bool whole = true;
  for (const Curve& curve : curves) {
    for (const CurvePoint& p : curve.points) {
      x.Add(p.x);
      whole = whole && (curve.merged > 1 || IsWhole(p.x));
      if (std::isnan(p.mean)) continue;
      y.Add(p.low);
      y.Add(p.high);
    }
  }
  if (!x.any) x = {0, 1, true};
  return {ExactAxis(x.low, x.high, 5, whole ? 1 : 0),
          YAxis(chart, y),
          {kLeft, kTop, kWidth - label_room, kHeight - kBottom}};
}

std::string Grid(const Plot& plot) {
  const PlotBox& box = plot.box;
  std::string out = "<g class=\"grid\">";
  for (const double tick : plot.y.ticks) {
    out += fmt::format("<path d=\"M{:.1f} {:.1f}H{:.1f}\"/>", box.left, plot.Y(tick), box.right);
  }
  out += "</g><g class=\"axis\">";
  out += fmt::format("<path d=\"M{:.1f} {:.1f}H{:.1f}\"/>", box.left, box.bottom, box.right);
  for (const double tick : plot.x.ticks) {
    out += fmt::format("<path d=\"M{:.1f} {:.1f}v4\"/>", plot.X(tick), box.bottom);
  }
  return out + "</g>";
}

std::string AxisText(const Chart& chart, const Plot& plot) {
  const PlotBox& box = plot.box;
  std::string out = "<g class=\"tick\">";
  for (const double tick : plot.y.ticks) {
    out += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"end\">{}</text>",
                       box.left - 6, plot.Y(tick) + 3.5, TickLabel(tick, plot.y.step));
  }
  for (const double tick : plot.x.ticks) {
    out += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"middle\">{}</text>",
                       plot.X(tick), box.bottom + 15, TickLabel(tick, plot.x.step));
  }
  out += fmt::format("<text x=\"0\" y=\"10\">{}</text>", Escape(chart.y_label));
  out += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"end\">{}</text>", box.right,
                     box.bottom + 31, Escape(chart.x_label));
  return out + "</g>";
}

/// Runs of neighbouring points that have a value: what lies between them are gaps.
std::vector<std::pair<std::size_t, std::size_t>> Runs(const Curve& curve) {
  std::vector<std::pair<std::size_t, std::size_t>> runs;
  for (std::size_t i = 0; i < curve.points.size(); ++i) {
    if (std::isnan(curve.points[i].mean)) continue;
    if (runs.empty() || runs.back().second != i) runs.emplace_back(i, i);
    runs.back().second = i + 1;
  }
  return runs;
}

std::string Band(const Curve& curve, const Plot& plot) {
  std::string out;
  for (const auto& [first, end] : Runs(curve)) {
    std::string path;
    for (std::size_t i = first; i < end; ++i) {
      const CurvePoint& p = curve.points[i];
      path += fmt::format("{}{:.1f} {:.1f}", i == first ? "M" : "L", plot.X(p.x), plot.Y(p.high));
    }
    for (std::size_t i = end; i-- > first;) {
      path += fmt::format("L{:.1f} {:.1f}", plot.X(curve.points[i].x), plot.Y(curve.points[i].low));
    }
    // A run of one point has no area: a bar shows its spread.
    const bool bar = end - first == 1;
    out += fmt::format("<path class=\"{}\" d=\"{}Z\"/>", bar ? "bar" : "band", path);
  }
  return out;
}

std::string Line(const Curve& curve, const Plot& plot) {
  std::string path, dots;
  for (const auto& [first, end] : Runs(curve)) {
    for (std::size_t i = first; i < end; ++i) {
      const CurvePoint& p = curve.points[i];
      path += fmt::format("{}{:.1f} {:.1f}", i == first ? "M" : "L", plot.X(p.x), plot.Y(p.mean));
    }
    if (end - first == 1) {
      const CurvePoint& p = curve.points[first];
      dots += fmt::format("<circle class=\"dot\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"2.6\"/>",
                          plot.X(p.x), plot.Y(p.mean));
    }
  }
  if (path.empty()) return "";
  return fmt::format("<path class=\"line\" d=\"{}\"/>{}", path, dots);
}

/// Circles nobody sees that tell their figures when pointed at.
std::string Hover(const Curve& curve, const Chart& chart, const Plot& plot) {
  if (curve.points.size() > kMostHover) return "";
  const std::string name = Escape(curve.name), x_label = Escape(chart.x_label);
  std::string out;
  for (const CurvePoint& p : curve.points) {
    if (std::isnan(p.mean)) continue;
    std::string range;
    if (curve.seeds > 1) range = fmt::format(" ({:.4g} to {:.4g})", p.low, p.high);
    out += fmt::format(
        "<circle class=\"hit\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"4\"><title>{}, {} {:.6g}: {:.4g}{}"
        "</title></circle>",
        plot.X(p.x), plot.Y(p.mean), name, x_label, p.x, p.mean, range);
  }
  return out;
}

std::string Labels(const std::vector<Curve>& curves, const SeriesStyles& styles, const Plot& plot) {
  std::vector<LabelledCurve> labelled;
  for (const Curve& curve : curves) {
    LabelledCurve one{curve.name, {}}, seen{curve.name, {}};
    for (const CurvePoint& p : curve.points) {
      if (std::isnan(p.mean)) continue;
      one.points.push_back({plot.X(p.x), plot.Y(p.mean)});
      if (p.mean >= plot.y.low && p.mean <= plot.y.high) seen.points.push_back(one.points.back());
    }
    // A label belongs to what is seen of its curve, when a fixed axis cuts the rest off.
    if (!seen.points.empty()) one = std::move(seen);
    labelled.push_back(std::move(one));
  }
  std::string out = "<g class=\"label\">";
  for (const CurveLabel& label : PlaceLabels(labelled, plot.box)) {
    const std::string& name = curves[label.curve].name;
    if (label.leader_y) {
      out += fmt::format("<path class=\"leader {}\" d=\"M{:.1f} {:.1f}L{:.1f} {:.1f}\"/>",
                         styles.Of(name).Classes(), plot.box.right + 1, *label.leader_y,
                         plot.box.right + kLabelGap - 2, label.y - 3.5);
    }
    out += fmt::format("<text class=\"c{}\" x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\">{}</text>",
                       styles.Of(name).hue, label.x, label.y, label.anchor, Escape(label.text));
  }
  return out + "</g>";
}

/// What a reader who does not see the chart is told: where each curve starts and ends.
std::string Spoken(const Chart& chart, const std::vector<Curve>& curves) {
  std::string out = chart.title;
  for (const Curve& curve : curves) {
    const auto known = [](const CurvePoint& p) { return !std::isnan(p.mean); };
    const auto first = std::find_if(curve.points.begin(), curve.points.end(), known);
    const auto last = std::find_if(curve.points.rbegin(), curve.points.rend(), known);
    if (first == curve.points.end()) {
      out += fmt::format("; {}: no data", curve.name);
    } else {
      out += fmt::format("; {}: from {:.4g} to {:.4g}", curve.name, first->mean, last->mean);
    }
  }
  return Escape(out);
}

std::string Note(const Chart& chart, const std::vector<Curve>& curves) {
  std::string note = Escape(chart.note);
  std::size_t merged = 1;
  for (const Curve& curve : curves)
    merged = std::max(merged, curve.merged);
  if (merged > 1) {
    note += fmt::format("{}Up to {} neighbouring points are drawn as one, with their range.",
                        note.empty() ? "" : " ", merged);
  }
  return note.empty() ? "" : fmt::format("<p class=\"note\">{}</p>", note);
}

}  // namespace

double LabelRoom(const SeriesStyles& styles) {
  double room = 12;
  for (const std::string& name : styles.names()) {
    room = std::max(room, kLabelGap + LabelWidth(ShortLabel(name)));
  }
  return room;
}

std::string RenderChart(const Chart& chart, const SeriesStyles& styles, double label_room) {
  const std::vector<Curve> curves = FoldSeeds(chart.series);
  const Plot plot = LayOut(chart, curves, label_room);
  const PlotBox& box = plot.box;
  std::string body, hover;
  for (const Curve& curve : curves) {
    const bool spread = curve.seeds > 1 || curve.merged > 1;
    body += fmt::format("<g class=\"{}\">{}{}</g>", styles.Of(curve.name).Classes(),
                        spread ? Band(curve, plot) : "", Line(curve, plot));
    hover += fmt::format("<g class=\"{}\">{}</g>", styles.Of(curve.name).Classes(),
                         Hover(curve, chart, plot));
  }
  std::string svg =
      fmt::format("<svg viewBox=\"0 0 {:.0f} {:.0f}\" role=\"img\" aria-label=\"{}\">", kWidth,
                  kHeight, Spoken(chart, curves));
  if (std::all_of(curves.begin(), curves.end(), [](const Curve& c) { return c.empty(); })) {
    svg += fmt::format(
        "<path class=\"frame\" d=\"M{0:.1f} {1:.1f}H{2:.1f}V{3:.1f}H{0:.1f}Z\"/>"
        "<text class=\"void\" x=\"{4:.1f}\" y=\"{5:.1f}\" text-anchor=\"middle\">no data</text>",
        box.left, box.top, box.right, box.bottom, (box.left + box.right) / 2,
        (box.top + box.bottom) / 2);
  } else {
    // The inner svg clips what lies beyond a fixed axis.
    const double width = box.right - box.left + 2 * kBleed,
                 height = box.bottom - box.top + 2 * kBleed;
    svg += Grid(plot) + AxisText(chart, plot);
    svg += fmt::format(
        "<svg x=\"{0:.1f}\" y=\"{1:.1f}\" width=\"{2:.1f}\" height=\"{3:.1f}\" "
        "viewBox=\"{0:.1f} {1:.1f} {2:.1f} {3:.1f}\" overflow=\"hidden\">{4}</svg>",
        box.left - kBleed, box.top - kBleed, width, height, body + hover);
    svg += Labels(curves, styles, plot);
  }
  svg += "</svg>";
  return fmt::format("<figure><figcaption>{}</figcaption>{}{}</figure>\n", Escape(chart.title), svg,
                     Note(chart, curves));
}

std::string RenderKey(const SeriesStyles& styles, bool bands) {
  if (styles.names().empty()) return "";
  std::string out = "<p class=\"key\">";
  for (const std::string& name : styles.names()) {
    out += fmt::format(
        "<span><svg class=\"{}\" viewBox=\"0 0 36 10\" width=\"36\" height=\"10\" "
        "aria-hidden=\"true\">"
        "<path class=\"line\" d=\"M1 5H35\"/></svg>{}</span> ",
        styles.Of(name).Classes(), Escape(name));
  }
  if (bands) {
    out +=
        "<span><svg class=\"c0\" viewBox=\"0 0 36 10\" width=\"36\" height=\"10\" "
        "aria-hidden=\"true\">"
        "<path class=\"band\" d=\"M1 0H35V10H1Z\"/></svg>lowest to highest of the seeds; the line "
        "is "
        "their mean</span>";
  }
  return out + "</p>\n";
}

}  // namespace aha::pipelines
