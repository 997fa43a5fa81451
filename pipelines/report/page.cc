#include <algorithm>
#include <cmath>
#include <set>

#include <fmt/format.h>

#include "pipelines/report/chart.h"
#include "pipelines/report/markup.h"
#include "pipelines/report/report.h"
#include "pipelines/report/stage_table.h"
#include "pipelines/report/style.h"
#include "pipelines/report/transcript.h"

namespace aha::pipelines {
namespace {

std::string Section(const char* id, const char* heading, const std::string& body) {
  if (body.empty()) return "";
  return fmt::format("<section id=\"{}\"><h2>{}</h2>\n{}</section>\n", id, heading, body);
}

std::string Fact(const char* term, const std::string& markup) {
  return markup.empty() ? "" : fmt::format("<div><dt>{}</dt><dd>{}</dd></div>\n", term, markup);
}

std::string SeedList(const std::vector<std::uint64_t>& seeds) {
  std::string out;
  for (const std::uint64_t seed : seeds)
    out += fmt::format("{}{}", out.empty() ? "" : ", ", seed);
  return out;
}

std::string RecipeNames(const std::vector<RecipeText>& recipes) {
  std::string out;
  for (const RecipeText& recipe : recipes) {
    if (!out.empty()) out += ", ";
    out += Escape(recipe.name);
  }
  return out;
}

double TotalSeconds(const std::vector<StageTime>& times) {
  double total = 0;
  for (const StageTime& time : times) {
    if (std::isfinite(time.seconds)) total += time.seconds;
  }
  return total;
}

/// What was run, on what, and at what cost: the facts that a reader needs to repeat it.
std::string Facts(const Report& report) {
  const Machine& machine = report.machine;
  std::string out = "<dl class=\"run\">\n";
  out += Fact("Recipes", RecipeNames(report.recipes));
  out += Fact(report.seeds.size() == 1 ? "Seed" : "Seeds", SeedList(report.seeds));
  std::string processor = Escape(machine.cpu);
  if (machine.threads > 0) {
    processor += fmt::format("{}{} {}", processor.empty() ? "" : ", ", machine.threads,
                             machine.threads == 1 ? "thread" : "threads");
  }
  out += Fact("Processor", processor);
  out += Fact("Kernels", Escape(machine.kernel_target));
  std::string version = Escape(report.version);
  if (!report.numerics_version.empty()) {
    version +=
        fmt::format("{}numerics {}", version.empty() ? "" : ", ", Escape(report.numerics_version));
  }
  out += Fact("Version", version);
  if (!report.times.empty()) out += Fact("Wall time", Duration(TotalSeconds(report.times)));
  if (report.peak_memory_bytes > 0) {
    out += Fact("Peak memory", Bytes(static_cast<double>(report.peak_memory_bytes)));
  }
  return out + "</dl>\n";
}

std::string Verdict(const std::vector<Claim>& claims) {
  if (claims.empty()) return "";
  const auto kept = static_cast<std::size_t>(
      std::count_if(claims.begin(), claims.end(), [](const Claim& c) { return c.kept; }));
  const bool all = kept == claims.size();
  return fmt::format("<p class=\"verdict\"><b class=\"{}\">{} of {}</b> {} kept</p>\n",
                     all ? "kept" : "lost", kept, claims.size(),
                     claims.size() == 1 ? "claim" : "claims");
}

std::string Claims(const std::vector<Claim>& claims) {
  if (claims.empty()) return "";
  std::string out =
      "<table class=\"claims\"><thead><tr><th scope=\"col\">Verdict</th><th "
      "scope=\"col\">Claim</th>"
      "<th scope=\"col\">Figures</th></tr></thead>\n<tbody>\n";
  for (const Claim& claim : claims) {
    out += fmt::format(
        "<tr><td class=\"{}\">{}</td><th scope=\"row\">{}<small>{}</small></th><td>{}</td></tr>\n",
        claim.kept ? "kept" : "lost", claim.kept ? "kept" : "not kept",
        Escape(claim.statement.empty() ? claim.name : claim.statement),
        claim.statement.empty() ? "" : Escape(claim.name), Escape(claim.figures));
  }
  return out + "</tbody></table>\n";
}

bool HasSeveralSeeds(const Chart& chart) {
  std::set<std::string> names;
  for (const Series& series : chart.series) {
    if (!names.insert(series.name).second) return true;
  }
  return false;
}

std::string Curves(const std::vector<Chart>& charts) {
  if (charts.empty()) return "";
  const SeriesStyles styles(charts);
  std::string out = RenderKey(styles, std::any_of(charts.begin(), charts.end(), HasSeveralSeeds));
  const double room = LabelRoom(styles);
  out += "<div class=\"charts\">\n";
  for (const Chart& chart : charts)
    out += RenderChart(chart, styles, room);
  return out + "</div>\n";
}

std::string Transcripts(const std::vector<Transcript>& transcripts) {
  std::string out;
  for (std::size_t i = 0; i < transcripts.size(); ++i)
    out += RenderTranscript(transcripts[i], i + 1);
  return out;
}

std::string Times(const std::vector<StageTime>& times) {
  if (times.empty()) return "";
  double longest = 0;
  for (const StageTime& time : times) {
    if (std::isfinite(time.seconds)) longest = std::max(longest, time.seconds);
  }
  std::string out = "<tbody>\n";
  for (const StageTime& time : times) {
    const bool drawn = longest > 0 && std::isfinite(time.seconds) && time.seconds > 0;
    const double share = drawn ? time.seconds / longest : 0;
    out += fmt::format(
        "<tr><th scope=\"row\">{}</th><td class=\"n\">{}</td><td class=\"plot\">"
        "<svg viewBox=\"0 0 200 10\" width=\"200\" height=\"10\" aria-hidden=\"true\">"
        "<path class=\"length\" d=\"M0 5H{:.1f}\"/></svg></td></tr>\n",
        Escape(time.stage), Duration(time.seconds), share * 200);
  }
  out += fmt::format(
      "<tr class=\"sum\"><th scope=\"row\">together</th><td class=\"n\">{}</td><td></td></tr>\n",
      Duration(TotalSeconds(times)));
  return CaptionedTable("times", out + "</tbody>", "Wall time of each stage, all seeds together.");
}

std::string Provenance(const std::vector<std::string>& notes) {
  if (notes.empty()) return "";
  std::string out = "<ul>\n";
  for (const std::string& note : notes)
    out += fmt::format("<li>{}</li>\n", Escape(note));
  return out + "</ul>\n";
}

std::string Recipes(const std::vector<RecipeText>& recipes) {
  std::string out;
  for (const RecipeText& recipe : recipes) {
    if (recipe.text.empty()) continue;
    out += fmt::format("<details class=\"recipe\"><summary>{}</summary><pre>\n{}</pre></details>\n",
                       Escape(recipe.name), Escape(recipe.text));
  }
  return out;
}

}  // namespace

std::string RenderReport(const Report& report) {
  const std::string title = Escape(report.title.empty() ? "Report" : report.title);
  std::string out = "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n";
  out += "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n";
  out +=
      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src "
      "'unsafe-inline'\">\n";
  out += fmt::format("<title>{}</title>\n<style>\n{}</style>\n</head>\n<body>\n<main>\n", title,
                     StyleSheet());
  out += fmt::format("<header><h1>{}</h1>\n{}{}</header>\n", title, Verdict(report.claims),
                     Facts(report));
  out += Section("claims", "Claims", Claims(report.claims));
  out += Section("stages", "Stages", RenderStageTable(report.stages, report.seeds.size()));
  out += Section("curves", "Training", Curves(report.charts));
  out += Section("families", "Task families", RenderFamilyTable(report.stages));
  out += Section("transcripts", "The same problems through the stages",
                 Transcripts(report.transcripts));
  out += Section("data", "Where the data came from", Provenance(report.provenance));
  out += Section("times", "Time", Times(report.times));
  out += Section("recipes", "Recipes as resolved", Recipes(report.recipes));
  return out + "</main>\n</body>\n</html>\n";
}

}  // namespace aha::pipelines
