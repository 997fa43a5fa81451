#include "pipelines/report/series_style.h"

#include <algorithm>

#include <fmt/format.h>

namespace aha::pipelines {

std::string SeriesStyle::Classes() const {
  return fmt::format("c{} d{}", hue, dash);
}

SeriesStyles::SeriesStyles(const std::vector<Chart>& charts) {
  std::map<std::string, std::size_t> hues;
  for (const Chart& chart : charts) {
    for (const Series& series : chart.series) {
      if (styles_.contains(series.name)) continue;
      const std::string recipe = series.name.substr(0, series.name.find(" · "));
      const std::size_t hue = hues.try_emplace(recipe, hues.size() % kHues).first->second;
      // One dash further with each round of hues: hue and dash together repeat late.
      const std::size_t order = names_.size();
      styles_[series.name] = {hue, (order + order / kHues) % kDashes};
      names_.push_back(series.name);
    }
  }
}

SeriesStyle SeriesStyles::Of(const std::string& name) const {
  const auto found = styles_.find(name);
  return found == styles_.end() ? SeriesStyle{} : found->second;
}

}  // namespace aha::pipelines
