#include "pipelines/report/curve.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "pipelines/report/curve_label.h"
#include "pipelines/report/series_style.h"

namespace aha::pipelines {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

TEST(FoldSeeds, MeansOverTheSeedsThatHaveAValue) {
  const std::vector<Curve> curves =
      FoldSeeds({{"a", {0, 1, 2}, {1, 2, kUnknown}}, {"a", {2, 1, 0}, {kUnknown, kUnknown, 3}}});
  ASSERT_EQ(curves.size(), 1U);
  EXPECT_EQ(curves[0].seeds, 2U);
  const std::vector<CurvePoint>& points = curves[0].points;
  ASSERT_EQ(points.size(), 3U);
  EXPECT_EQ(points[0].mean, 2);
  EXPECT_EQ(points[0].low, 1);
  EXPECT_EQ(points[0].high, 3);
  EXPECT_EQ(points[1].mean, 2);
  EXPECT_TRUE(std::isnan(points[2].mean)) << "unknown for every seed: a gap";
}

TEST(FoldSeeds, LeavesOutWhatCannotBeDrawn) {
  const std::vector<Curve> curves =
      FoldSeeds({{"a", {0, kUnknown, kInfinity, 3, 4}, {kInfinity, 1, 1, 1e300}}});
  ASSERT_EQ(curves[0].points.size(), 2U) << "x of 0 and 3; 4 has no y";
  EXPECT_TRUE(curves[0].empty());
}

TEST(FoldSeeds, KeepsTheRangeOfMergedNeighbours) {
  Series series{"a", {}, {}};
  for (int i = 0; i < 1000; ++i) {
    series.x.push_back(i);
    series.y.push_back(i % 2 == 0 ? 0 : 10);
  }
  series.y[500] = 99;
  const std::vector<Curve> curves = FoldSeeds({series});
  EXPECT_EQ(curves[0].merged, 3U);
  EXPECT_LE(curves[0].points.size(), kMostPoints);
  double highest = 0;
  for (const CurvePoint& p : curves[0].points)
    highest = std::max(highest, p.high);
  EXPECT_EQ(highest, 99) << "an outlier stays visible";
}

TEST(SeriesStyles, ARecipeHasAHueAndEachNameADash) {
  Chart chart;
  for (const char* name : {"R1-Zero", "R1 · RL 1", "R1 · RL 2"})
    chart.series.push_back({name, {}, {}});
  const SeriesStyles styles({chart});
  EXPECT_NE(styles.Of("R1-Zero").hue, styles.Of("R1 · RL 1").hue);
  EXPECT_EQ(styles.Of("R1 · RL 1").hue, styles.Of("R1 · RL 2").hue);
  EXPECT_NE(styles.Of("R1 · RL 1").dash, styles.Of("R1 · RL 2").dash);
}

TEST(SeriesStyles, HueAndDashTogetherAreUniqueForManyNames) {
  Chart chart;
  for (int i = 0; i < 30; ++i)
    chart.series.push_back({std::to_string(i), {}, {}});
  const SeriesStyles styles({chart});
  std::set<std::string> seen;
  for (const std::string& name : styles.names())
    seen.insert(styles.Of(name).Classes());
  EXPECT_EQ(seen.size(), 30U);
}

TEST(PlaceLabels, KeepsLabelsInTheMarginApartAndInTheBox) {
  const PlotBox box{40, 20, 300, 200};
  std::vector<LabelledCurve> curves;
  for (int i = 0; i < 8; ++i)
    curves.push_back({std::to_string(i), {{40, 100}, {300, 198.0 + i / 4.0}}});
  const std::vector<CurveLabel> labels = PlaceLabels(curves, box);
  ASSERT_EQ(labels.size(), 8U);
  for (std::size_t i = 1; i < labels.size(); ++i)
    EXPECT_GE(labels[i].y - labels[i - 1].y, 11.99);
  EXPECT_LE(labels.back().y, box.bottom + 4);
  EXPECT_GE(labels.front().y, box.top);
}

TEST(PlaceLabels, ACurveThatEndsEarlyIsNamedInsideAndAnEmptyOneNowhere) {
  const PlotBox box{40, 20, 300, 200};
  const std::vector<CurveLabel> labels = PlaceLabels(
      {{"short", {{40, 100}, {150, 100}}}, {"empty", {}}, {"long", {{40, 60}, {300, 60}}}}, box);
  ASSERT_EQ(labels.size(), 2U);
  EXPECT_EQ(labels[0].text, "long");
  EXPECT_GT(labels[0].x, box.right);
  EXPECT_EQ(labels[1].text, "short");
  EXPECT_LT(labels[1].x, box.right);
  EXPECT_GT(std::abs(labels[1].y - 3.5 - 100), 6) << "beside its line, not on it";
}

TEST(ShortLabel, CutsBetweenCharacters) {
  EXPECT_EQ(ShortLabel("R1 · RL 1"), "R1 · RL 1");
  EXPECT_EQ(ShortLabel("推理推理推理推理推理"), "推理推理推理推理…");
}

}  // namespace
}  // namespace aha::pipelines
