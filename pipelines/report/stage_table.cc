#include "pipelines/report/stage_table.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include <fmt/format.h>

#include "pipelines/report/axis.h"
#include "pipelines/report/markup.h"

namespace aha::pipelines {
namespace {

/// "63.4" with "±1.8, sd 2.1" under it.
std::string Cell(const Measure& m, double scale) {
  std::string under;
  if (std::isfinite(m.ci95)) under += fmt::format("±{}", Number(m.ci95 * scale, 1));
  if (std::isfinite(m.std)) {
    under += fmt::format("{}sd {}", under.empty() ? "" : ", ", Number(m.std * scale, 1));
  }
  if (!under.empty()) under = fmt::format("<small>{}</small>", under);
  return fmt::format("<td class=\"n\">{}{}</td>", Number(m.mean * scale, 1), under);
}

// The dot plot's scale from 0 to 100 %, in pixels.
constexpr double kPlotLeft = 10, kPlotWidth = 160, kPlotMiddle = 9;

double PlotX(double share) {
  return kPlotLeft + std::clamp(share, 0.0, 1.0) * kPlotWidth;
}

std::string PlotSvg(const std::string& body) {
  constexpr double kWidth = kPlotWidth + 2 * kPlotLeft, kHeight = 2 * kPlotMiddle;
  return fmt::format(
      "<svg class=\"dots\" viewBox=\"0 0 {0} {1}\" width=\"{0}\" height=\"{1}\" "
      "aria-hidden=\"true\">{2}</svg>",
      kWidth, kHeight, body);
}

std::string PlotScale() {
  std::string body;
  for (const double share : {0.0, 0.5, 1.0}) {
    body += fmt::format("<text x=\"{:.1f}\" y=\"{}\" text-anchor=\"middle\">{:.0f}</text>",
                        PlotX(share), 2 * kPlotMiddle - 4, share * 100);
  }
  return "<td class=\"plot\">" + PlotSvg(body) + "</td>";
}

/// pass@1 as a dot with its confidence interval on a scale from 0 to 100 %.
std::string DotPlot(const Measure& m) {
  std::string body;
  for (const double share : {0.0, 0.5, 1.0}) {
    body += fmt::format("<path class=\"rule\" d=\"M{:.1f} 0v{}\"/>", PlotX(share), 2 * kPlotMiddle);
  }
  if (Drawable(m.mean)) {
    if (Drawable(m.ci95)) {
      body += fmt::format("<path class=\"whisker\" d=\"M{:.1f} {}H{:.1f}\"/>",
                          PlotX(m.mean - m.ci95), kPlotMiddle, PlotX(m.mean + m.ci95));
    }
    body += fmt::format("<circle cx=\"{:.1f}\" cy=\"{}\" r=\"2.2\"/>", PlotX(m.mean), kPlotMiddle);
  }
  return "<td class=\"plot\">" + PlotSvg(body) + "</td>";
}

using FamilyKey = std::pair<std::string, int>;

const FamilyFigure* Find(const StageRow& stage, const FamilyKey& key) {
  for (const FamilyFigure& figure : stage.families) {
    if (figure.family == key.first && figure.band == key.second) return &figure;
  }
  return nullptr;
}

/// Families in order of first appearance, each one's bands by number.
std::vector<FamilyKey> FamilyKeys(const std::vector<StageRow>& stages) {
  std::vector<std::string> order;
  std::vector<FamilyKey> keys;
  for (const StageRow& stage : stages) {
    for (const FamilyFigure& figure : stage.families) {
      const FamilyKey key{figure.family, figure.band};
      if (std::find(keys.begin(), keys.end(), key) == keys.end()) keys.push_back(key);
      if (std::find(order.begin(), order.end(), figure.family) == order.end()) {
        order.push_back(figure.family);
      }
    }
  }
  const auto rank = [&](const FamilyKey& key) {
    return std::pair(std::find(order.begin(), order.end(), key.first) - order.begin(), key.second);
  };
  std::sort(keys.begin(), keys.end(),
            [&](const FamilyKey& a, const FamilyKey& b) { return rank(a) < rank(b); });
  return keys;
}

/// One family's and band's figures, the highest in bold.
std::string FamilyRow(const std::vector<StageRow>& stages, const FamilyKey& key, bool repeated) {
  double best = -1;
  for (const StageRow& stage : stages) {
    const FamilyFigure* figure = Find(stage, key);
    if (figure != nullptr && std::isfinite(figure->pass_at_1.mean)) {
      best = std::max(best, figure->pass_at_1.mean);
    }
  }
  std::string row = fmt::format("<tr{}><th scope=\"row\">{}</th><td class=\"n\">{}</td>",
                                repeated ? " class=\"again\"" : "", Escape(key.first),
                                key.second > 0 ? std::to_string(key.second) : "");
  for (const StageRow& stage : stages) {
    const FamilyFigure* figure = Find(stage, key);
    const double mean = figure == nullptr ? kUnknown : figure->pass_at_1.mean;
    const std::string text = Percent(mean);
    const bool highest = std::isfinite(mean) && text == Percent(best);
    row += fmt::format("<td class=\"n\">{}</td>", highest ? "<b>" + text + "</b>" : text);
  }
  return row + "</tr>\n";
}

std::string StageCaption(const std::vector<StageRow>& stages, std::size_t seeds) {
  std::string out = "Shares in per cent of held-out problems; thinking in tokens. ";
  if (seeds > 1) {
    out += fmt::format("Means over {} seeds; sd: standard deviation between seeds. ", seeds);
  }
  const bool intervals = std::any_of(stages.begin(), stages.end(), [](const StageRow& stage) {
    return std::isfinite(stage.pass_at_1.ci95);
  });
  return out + (intervals ? "±: half-width of the 95 % confidence interval. The dots show pass@1 "
                            "with that interval as a bar."
                          : "The dots show pass@1.");
}

}  // namespace

std::string RenderStageTable(const std::vector<StageRow>& stages, std::size_t seeds) {
  if (stages.empty()) return "";
  std::string out =
      "<thead><tr><th scope=\"col\">Stage</th><th scope=\"col\" class=\"n\">pass@1</th>" +
      PlotScale();
  for (const char* heading : {"pass@1, hardest band", "pass@1, general tasks", "Well-formed",
                              "One language", "Thinking tokens"}) {
    out += fmt::format("<th scope=\"col\" class=\"n\">{}</th>", heading);
  }
  out += "</tr></thead>\n<tbody>\n";
  for (const StageRow& stage : stages) {
    out += fmt::format("<tr><th scope=\"row\">{}<small>{}</small></th>", Escape(stage.name),
                       Escape(stage.description));
    out += Cell(stage.pass_at_1, 100) + DotPlot(stage.pass_at_1);
    out += Cell(stage.pass_at_1_hardest, 100) + Cell(stage.general_pass_at_1, 100);
    out += Cell(stage.well_formed, 100) + Cell(stage.language, 100);
    out += Cell(stage.thinking_tokens, 1) + "</tr>\n";
  }
  return CaptionedTable("stages", out + "</tbody>", StageCaption(stages, seeds));
}

std::string RenderFamilyTable(const std::vector<StageRow>& stages) {
  const std::vector<FamilyKey> keys = FamilyKeys(stages);
  if (keys.empty()) return "";
  std::string out =
      "<thead><tr><th scope=\"col\">Family</th><th scope=\"col\" class=\"n\">Band</th>";
  for (const StageRow& stage : stages) {
    out += fmt::format("<th scope=\"col\" class=\"n\">{}</th>", Escape(stage.name));
  }
  out += "</tr></thead>\n<tbody>\n";
  for (std::size_t i = 0; i < keys.size(); ++i) {
    out += FamilyRow(stages, keys[i], i > 0 && keys[i - 1].first == keys[i].first);
  }
  return CaptionedTable(
      "families", out + "</tbody>",
      "pass@1 in per cent by task family and difficulty band; the highest of each "
      "row in bold.");
}

}  // namespace aha::pipelines
