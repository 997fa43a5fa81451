#pragma once
/// One chart as inline SVG.

#include <string>

#include "pipelines/report/report.h"
#include "pipelines/report/series_style.h"

namespace aha::pipelines {

/// Room that the labels at the right end of the curves take in a chart, in chart units; the charts
/// of a page share the largest so that their plots line up.
double LabelRoom(const SeriesStyles& styles);

/// A <figure> with the title, the SVG and the note. Curves are labelled where they end.
std::string RenderChart(const Chart& chart, const SeriesStyles& styles, double label_room);

/// The key of all charts: a line sample and a name each; says what bands are if `bands`.
std::string RenderKey(const SeriesStyles& styles, bool bands);

}  // namespace aha::pipelines
