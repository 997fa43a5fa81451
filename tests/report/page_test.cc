#include <set>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <re2/re2.h>

#include "pipelines/report/chart.h"
#include "pipelines/report/report.h"
#include "pipelines/report/transcript.h"
#include "tests/report/sample_report.h"

namespace aha::pipelines {
namespace {

using testing::HasSubstr;
using testing::Not;

/// What is wrong with the nesting of `html`'s tags, or nothing. Knows what our pages use: no raw
/// "<" outside tags, quoted attributes, void elements, self-closed SVG elements.
std::string NestingFault(const std::string& html) {
  const std::set<std::string> empty = {"meta", "br"};
  const RE2 tag(R"(<(/?)([a-zA-Z0-9]+)(?: [a-zA-Z-]+(?:="[^"<]*")?)*(/?)>)");
  std::vector<std::string> open;
  for (std::size_t at = html.find('<'); at != std::string::npos; at = html.find('<', at + 1)) {
    const re2::StringPiece rest(html.data() + at, html.size() - at);
    if (rest.starts_with("<!DOCTYPE html>")) continue;
    re2::StringPiece parts[4];
    if (!tag.Match(rest, 0, rest.size(), RE2::ANCHOR_START, parts, 4)) {
      return "not a tag: " + html.substr(at, 80);
    }
    const std::string name(parts[2]);
    if (!parts[1].empty()) {
      if (open.empty() || open.back() != name) return "closes nothing: </" + name + ">";
      open.pop_back();
    } else if (parts[3].empty() && !empty.contains(name)) {
      open.push_back(name);
    }
  }
  return open.empty() ? "" : "left open: " + open.back();
}

TEST(NestingFault, FindsFaults) {
  EXPECT_EQ(NestingFault("<p class=\"a\">x<br></p>"), "");
  EXPECT_NE(NestingFault("<p><b></p></b>"), "");
  EXPECT_NE(NestingFault("<p>"), "");
  EXPECT_NE(NestingFault("<p>1 < 2</p>"), "");
}

TEST(RenderReport, NestsItsTags) {
  EXPECT_EQ(NestingFault(RenderReport(SampleReport())), "");
  EXPECT_EQ(NestingFault(RenderReport(SparseReport())), "");
  EXPECT_EQ(NestingFault(RenderReport({})), "");
}

TEST(RenderReport, RefersToNothingOutsideItself) {
  for (const Report& report : {SampleReport(), SparseReport()}) {
    const std::string page = RenderReport(report);
    for (const char* reference :
         {"http:", "https:", "url(", "src=", "href=", "@import", "<link", "<script"}) {
      EXPECT_THAT(page, Not(HasSubstr(reference)));
    }
    EXPECT_THAT(page, HasSubstr("default-src 'none'"));
  }
}

TEST(RenderReport, DrawsNoNumberThatIsNone) {
  for (const Report& report : {SampleReport(), SparseReport(), Report{}}) {
    const std::string page = RenderReport(report);
    EXPECT_FALSE(RE2::PartialMatch(page, "[\" MLHV]-?(nan|inf)[\" LHVZ<]"));
  }
}

TEST(RenderReport, LeavesOutSectionsWithoutData) {
  const std::string page = RenderReport({});
  EXPECT_THAT(page, Not(HasSubstr("<h2>")));
  EXPECT_THAT(page, Not(HasSubstr("<table")));
}

TEST(RenderReport, EscapesEveryField) {
  const std::string bad = "<i>\"&\xFF";
  Report report;
  report.title = report.version = report.numerics_version = bad;
  report.machine = {bad, bad, 1};
  report.times = {{bad, 1}};
  report.claims = {{bad, bad, true, bad}};
  report.stages = {{bad, bad, {}, {}, {}, {}, {}, {}, {{bad, 1, {}}}}};
  report.charts = {{bad, bad, bad, bad, {{bad, {1}, {1}}}, {}, {}}};
  report.transcripts = {{bad, bad, bad, {{bad, bad, std::nullopt, bad, false, 1}}}};
  report.provenance = {bad};
  report.recipes = {{bad, bad}};
  const std::string page = RenderReport(report);
  EXPECT_THAT(page, Not(HasSubstr("<i>")));
  EXPECT_THAT(page, Not(HasSubstr("\xFF")));
  EXPECT_EQ(NestingFault(page), "");
}

TEST(RenderReport, SaysKeptAndNotKeptInWords) {
  Report report;
  report.claims = {{"a", "A holds.", true, "1"}, {"b", "B holds.", false, "2"}};
  const std::string page = RenderReport(report);
  EXPECT_THAT(page, HasSubstr("<td class=\"kept\">kept</td>"));
  EXPECT_THAT(page, HasSubstr("<td class=\"lost\">not kept</td>"));
  EXPECT_THAT(page, HasSubstr("1 of 2</b> claims kept"));
}

std::string ChartOf(std::vector<double> y) {
  Chart chart{"t", "x", "y", "", {{"a", {}, std::move(y)}}, 0, 1};
  for (std::size_t i = 0; i < chart.series[0].y.size(); ++i)
    chart.series[0].x.push_back(static_cast<double>(i));
  const SeriesStyles styles({chart});
  return RenderChart(chart, styles, LabelRoom(styles));
}

std::size_t Count(const std::string& text, const std::string& part) {
  std::size_t count = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1))
    ++count;
  return count;
}

/// Pen-down moves of the curve: one for each run between gaps.
std::size_t Runs(const std::string& svg) {
  std::string path;
  return RE2::PartialMatch(svg, "class=\"line\" d=\"([^\"]*)\"", &path) ? Count(path, "M") : 0;
}

TEST(RenderChart, BreaksTheLineAtGaps) {
  EXPECT_EQ(Runs(ChartOf({0.1, 0.2, 0.3})), 1U);
  EXPECT_EQ(Runs(ChartOf({0.1, kUnknown, 0.3, 0.4})), 2U);
  EXPECT_EQ(Count(ChartOf({0.1, kUnknown, 0.3, 0.4}), "class=\"dot\""), 1U)
      << "a run of one is a dot";
  EXPECT_EQ(Count(ChartOf({0.1, 0.2}), "class=\"dot\""), 0U);
}

TEST(RenderChart, SaysSoWhenThereIsNoData) {
  EXPECT_THAT(ChartOf({kUnknown, kUnknown}), HasSubstr("no data</text>"));
  EXPECT_THAT(ChartOf({}), HasSubstr("no data</text>"));
  EXPECT_THAT(ChartOf({0.5}), Not(HasSubstr("no data")));
}

TEST(RenderChart, DrawsABandForSeedsOnly) {
  Chart chart{"t", "x", "y", "", {{"a", {0, 1}, {0.1, 0.2}}, {"a", {0, 1}, {0.3, 0.4}}}, 0, 1};
  const SeriesStyles styles({chart});
  EXPECT_EQ(Count(RenderChart(chart, styles, 20), "class=\"band\""), 1U);
  EXPECT_EQ(Count(ChartOf({0.1, 0.2}), "class=\"band\""), 0U);
}

/// The text a reader can see, tags taken out.
std::string Visible(std::string html) {
  RE2::GlobalReplace(&html, "<[^>]*>\n?", "");
  return html;
}

TEST(RenderCompletion, FoldsTheMiddleOfALongOneAndLosesNothing) {
  std::string text;
  for (int i = 0; i < 200; ++i)
    text += "line " + std::to_string(i) + "\n";
  const std::string html = RenderCompletion(text);
  EXPECT_THAT(html, HasSubstr("<details><summary>show all: "));
  std::string visible = Visible(html);
  RE2::Replace(&visible, "show all: [0-9,]+ more characters", "");
  EXPECT_EQ(visible, text);
}

TEST(RenderCompletion, FoldsOneLongLineWithoutSplittingCharacters) {
  std::string text;
  for (int i = 0; i < 2000; ++i)
    text += "答";
  const std::string html = RenderCompletion(text);
  EXPECT_THAT(html, HasSubstr("<details>"));
  EXPECT_THAT(html, Not(HasSubstr("\xEF\xBF\xBD")));
}

TEST(RenderCompletion, LeavesAShortOneWhole) {
  EXPECT_EQ(RenderCompletion("\n a"), "<pre>\n\n a</pre>");
  EXPECT_THAT(RenderCompletion(""), HasSubstr("(empty)"));
}

TEST(RenderTranscript, AFailureIsNotAScore) {
  const Transcript transcript{
      "q", "1", "en\" onclick=\"x", {{"r1", "t", std::nullopt, "timeout", true, kUnknown}}};
  const std::string html = RenderTranscript(transcript, 1);
  EXPECT_THAT(html, HasSubstr("not scored: timeout"));
  EXPECT_THAT(html, Not(HasSubstr("score 0")));
  EXPECT_THAT(html, Not(HasSubstr("lang=")));
}

}  // namespace
}  // namespace aha::pipelines
