#include "pipelines/report/curve_label.h"

#include <algorithm>
#include <cmath>

#include "pipelines/report/markup.h"

namespace aha::pipelines {
namespace {

constexpr double kLineHeight = 12;
constexpr double kFontSize = 11;
constexpr double kRise = 3.5;          // from the middle of the text to its baseline
constexpr double kMarginShare = 0.06;  // ends this near the right edge are named in the margin
constexpr double kLeaderFrom = 4;      // moves smaller than this need no leader

double Clamp(double v, double low, double high) {
  return std::max(low, std::min(v, high));
}

/// Pushes labels in the margin apart, downwards then back up from the bottom, order kept.
void Spread(std::vector<CurveLabel>& labels, const PlotBox& box) {
  std::stable_sort(labels.begin(), labels.end(),
                   [](const CurveLabel& a, const CurveLabel& b) { return a.y < b.y; });
  // Clusters of touching labels are centred on the mean of their wishes.
  struct Cluster {
    double sum;  // of the wishes, each less its offset in the cluster
    std::size_t count;
    [[nodiscard]] double Top() const { return sum / static_cast<double>(count); }
  };
  std::vector<Cluster> clusters;
  for (const CurveLabel& label : labels) {
    clusters.push_back({label.y, 1});
    while (clusters.size() > 1) {
      const Cluster last = clusters.back();
      Cluster& before = clusters[clusters.size() - 2];
      const double height = static_cast<double>(before.count) * kLineHeight;
      if (before.Top() + height <= last.Top()) break;
      before.sum += last.sum - height * static_cast<double>(last.count);
      before.count += last.count;
      clusters.pop_back();
    }
  }
  std::size_t next = 0;
  for (const Cluster& cluster : clusters) {
    const double height = static_cast<double>(cluster.count - 1) * kLineHeight;
    const double top = Clamp(cluster.Top(), box.top, std::max(box.top, box.bottom - height));
    for (std::size_t i = 0; i < cluster.count; ++i, ++next) {
      labels[next].y = top + static_cast<double>(i) * kLineHeight;
    }
  }
}

/// How many points of any curve lie under a label centred on (x, y).
int Covered(const std::vector<LabelledCurve>& curves, double x, double y, double width) {
  int covered = 0;
  for (const LabelledCurve& curve : curves) {
    for (std::size_t i = 0; i < curve.points.size(); ++i) {
      // Midpoints stand for the line between points that lie far apart.
      const PlotPoint& p = curve.points[i];
      const PlotPoint& q = curve.points[i + 1 < curve.points.size() ? i + 1 : i];
      for (const double t : {0.0, 0.25, 0.5, 0.75}) {
        const double dx = std::abs(p.x + t * (q.x - p.x) - x),
                     dy = std::abs(p.y + t * (q.y - p.y) - y);
        if (dx <= width / 2 + 2 && dy <= kLineHeight / 2 + 1) ++covered;
      }
    }
  }
  return covered;
}

/// Above or below one of a curve's points in its right half, wherever least is covered.
CurveLabel InsideLabel(const std::vector<LabelledCurve>& curves,
                       std::size_t index,
                       const PlotBox& box,
                       const std::vector<CurveLabel>& placed) {
  const LabelledCurve& curve = curves[index];
  const std::string text = ShortLabel(curve.name);
  const double width = LabelWidth(text);
  CurveLabel best{index, text, 0, 0, "middle", std::nullopt};
  double best_cost = -1;
  const std::size_t count = curve.points.size();
  for (std::size_t i = count; i-- > 0;) {
    for (const double offset : {-9.0, 9.0, -15.0, 15.0, -22.0, 22.0}) {
      const double x =
          Clamp(curve.points[i].x, box.left + width / 2 + 2, box.right - width / 2 - 2);
      const double y = Clamp(curve.points[i].y + offset, box.top + 6, box.bottom - 7);
      double cost = Covered(curves, x, y, width) * 3 + std::abs(offset) / 9 +
                    static_cast<double>(count - 1 - i) / static_cast<double>(count);
      for (const CurveLabel& other : placed) {
        const double apart = (width + LabelWidth(other.text)) / 2 + 4;
        if (std::abs(other.y - kRise - y) < kLineHeight && std::abs(other.x - x) < apart)
          cost += 100;
      }
      if (best_cost < 0 || cost < best_cost) {
        best_cost = cost;
        best.x = x;
        best.y = y + kRise;
      }
    }
  }
  return best;
}

}  // namespace

std::string ShortLabel(std::string_view name) {
  constexpr std::size_t kMost = 18;
  const std::string clean = CleanText(name);
  if (DisplayWidth(clean) <= kMost) return clean;
  std::string cut;
  for (std::size_t end = 1; end <= clean.size(); ++end) {
    const bool whole =
        end == clean.size() || (static_cast<unsigned char>(clean[end]) & 0xC0) != 0x80;
    if (!whole) continue;
    const std::string_view head = std::string_view(clean).substr(0, end);
    if (DisplayWidth(head) > kMost - 1) break;
    cut = head;
  }
  return cut + "…";
}

double LabelWidth(std::string_view text) {
  constexpr double kColumn = 0.56;  // mean advance of a sans-serif letter, in ems
  return static_cast<double>(DisplayWidth(text)) * kColumn * kFontSize;
}

std::vector<CurveLabel> PlaceLabels(const std::vector<LabelledCurve>& curves, const PlotBox& box) {
  const double margin_from = box.right - kMarginShare * (box.right - box.left);
  std::vector<CurveLabel> margin, inside;
  for (std::size_t i = 0; i < curves.size(); ++i) {
    if (curves[i].points.empty() || curves[i].points.back().x < margin_from) continue;
    const double y = Clamp(curves[i].points.back().y, box.top, box.bottom);
    margin.push_back({i, ShortLabel(curves[i].name), box.right + kLabelGap, y, "start", y});
  }
  Spread(margin, box);
  for (CurveLabel& label : margin) {
    if (std::abs(label.y - *label.leader_y) < kLeaderFrom) label.leader_y.reset();
    label.y += kRise;
  }
  for (std::size_t i = 0; i < curves.size(); ++i) {
    if (curves[i].points.empty() || curves[i].points.back().x >= margin_from) continue;
    inside.push_back(InsideLabel(curves, i, box, inside));
  }
  margin.insert(margin.end(), inside.begin(), inside.end());
  return margin;
}

}  // namespace aha::pipelines
