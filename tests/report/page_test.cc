#include <regex>
#include <set>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

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
  static const std::regex kTag(R"(^<(/?)([a-zA-Z0-9]+)((?: [a-zA-Z-]+(?:="[^"<]*")?)*)(/?)>)");
  std::vector<std::string> open;
  for (std::size_t at = html.find('<'); at != std::string::npos; at = html.find('<', at + 1)) {
    if (html.compare(at, 15, "<!DOCTYPE html>") == 0) continue;
    const std::string head =
        html.substr(at, std::min<std::size_t>(html.find('>', at) + 1 - at, 20000));
    std::smatch match;
    // A long path is one attribute: std::regex would recurse over it.
    const std::string shortened =
        head.size() < 2000 ? head
                           : head.substr(0, head.find(' ')) + (head.ends_with("/>") ? "/>" : ">");
    if (!std::regex_search(shortened, match, kTag)) return "not a tag: " + head.substr(0, 80);
    const std::string name = match[2];
    if (match[1] == "/") {
      if (open.empty() || open.back() != name)
        return "closes nothing: " + name + " near " + html.substr(at < 40 ? 0 : at - 40, 60);
      open.pop_back();
    } else if (match[4] != "/" && !empty.contains(name)) {
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
    EXPECT_FALSE(std::regex_search(page, std::regex("[\" MLHV]-?(nan|inf)[\" LHVZ<]")));
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
  std::smatch line;
  return std::regex_search(svg, line, std::regex("class=\"line\" d=\"([^\"]*)\""))
             ? Count(line[1], "M")
             : 0;
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
std::string Visible(const std::string& html) {
  return std::regex_replace(html, std::regex("<[^>]*>\n?"), "");
}

TEST(RenderCompletion, FoldsTheMiddleOfALongOneAndLosesNothing) {
  std::string text;
  for (int i = 0; i < 200; ++i)
    text += "line " + std::to_string(i) + "\n";
  const std::string html = RenderCompletion(text);
  EXPECT_THAT(html, HasSubstr("<details><summary>show all: "));
  const std::string visible =
      std::regex_replace(Visible(html), std::regex("show all: [0-9,]+ more characters"), "");
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
