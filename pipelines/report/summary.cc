#include "pipelines/report/summary.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <string_view>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "pipelines/report/markup.h"

namespace aha::pipelines {
namespace {

constexpr std::size_t kColumns = 100;
constexpr std::size_t kIndent = 12;  // past "  NOT KEPT  "

/// Clean text on one line.
std::string OneLine(const std::string& bytes) {
  std::string text = CleanText(bytes);
  std::replace_if(
      text.begin(), text.end(), [](char c) { return c == '\n' || c == '\t'; }, ' ');
  return text;
}

/// The first characters of `text` that fit `width`, at least one.
std::string_view Fitting(std::string_view text, std::size_t width) {
  std::size_t end = 0;
  while (end < text.size()) {
    std::size_t next = end + 1;
    while (next < text.size() && (static_cast<unsigned char>(text[next]) & 0xC0) == 0x80)
      ++next;
    if (end > 0 && DisplayWidth(text.substr(0, next)) > width) break;
    end = next;
  }
  return text.substr(0, end);
}

/// Words broken into lines of at most `width`; a word wider than that is cut.
std::vector<std::string> Wrap(const std::string& text, std::size_t width) {
  std::vector<std::string> lines;
  std::string line;
  std::string_view rest = text;
  while (true) {
    while (rest.starts_with(' '))
      rest.remove_prefix(1);
    if (rest.empty()) break;
    std::string_view word = rest.substr(0, rest.find(' '));
    if (DisplayWidth(word) > width) word = Fitting(word, width);
    if (!line.empty() && DisplayWidth(line) + 1 + DisplayWidth(word) > width) {
      lines.push_back(line);
      line.clear();
    }
    if (!line.empty()) line += ' ';
    line += word;
    rest.remove_prefix(word.size());
  }
  if (!line.empty()) lines.push_back(line);
  return lines;
}

std::string Pad(const std::string& text, std::size_t width, bool right) {
  const std::size_t own = DisplayWidth(text);
  const std::string space(own < width ? width - own : 0, ' ');
  return right ? space + text : text + space;
}

std::string ClaimLines(const Claim& claim) {
  std::string out;
  std::string head = OneLine(claim.name);
  if (!claim.statement.empty()) head += ": " + OneLine(claim.statement);
  std::string before = Pad(claim.kept ? "  kept" : "  NOT KEPT", kIndent, false);
  for (const std::string& text : {head, OneLine(claim.figures)}) {
    for (const std::string& line : Wrap(text, kColumns - kIndent)) {
      out += before + line + "\n";
      before = std::string(kIndent, ' ');
    }
  }
  return out;
}

struct Column {
  const char* heading;
  Measure StageRow::*measure;
  double scale;
  int decimals;
};
constexpr std::array<Column, 6> kFigures = {{
    {"pass@1", &StageRow::pass_at_1, 100, 1},
    {"hardest", &StageRow::pass_at_1_hardest, 100, 1},
    {"general", &StageRow::general_pass_at_1, 100, 1},
    {"well-formed", &StageRow::well_formed, 100, 1},
    {"language", &StageRow::language, 100, 1},
    {"thinking", &StageRow::thinking_tokens, 1, 0},
}};

bool KnowsSeeds(const std::vector<StageRow>& stages) {
  return std::any_of(stages.begin(), stages.end(), [](const StageRow& stage) {
    return std::any_of(kFigures.begin(), kFigures.end(), [&](const Column& column) {
      return std::isfinite((stage.*column.measure).std);
    });
  });
}

std::string Figure(const Measure& m, const Column& column, bool between_seeds) {
  const double spread = between_seeds ? m.std : m.ci95;
  std::string text = Number(m.mean * column.scale, column.decimals);
  if (std::isfinite(spread)) text += " ±" + Number(spread * column.scale, column.decimals);
  return text;
}

/// Rows of cells, the first flush left and the others flush right. The first gives way if it must.
std::string Aligned(std::vector<std::vector<std::string>> rows) {
  std::vector<std::size_t> widths(rows.front().size(), 0);
  for (const auto& row : rows) {
    for (std::size_t c = 0; c < row.size(); ++c)
      widths[c] = std::max(widths[c], DisplayWidth(row[c]));
  }
  std::size_t others = 2;
  for (std::size_t c = 1; c < widths.size(); ++c)
    others += 2 + widths[c];
  const std::size_t most = others < kColumns ? kColumns - others : 1;
  widths[0] = std::min(widths[0], std::max<std::size_t>(most, 4));
  std::string out;
  for (auto& row : rows) {
    if (DisplayWidth(row[0]) > widths[0])
      row[0] = std::string(Fitting(row[0], widths[0] - 1)) + "…";
    std::string line = "  " + Pad(row[0], widths[0], false);
    for (std::size_t c = 1; c < row.size(); ++c)
      line += "  " + Pad(row[c], widths[c], true);
    out += line + "\n";
  }
  return out;
}

std::string StageLines(const std::vector<StageRow>& stages) {
  const bool between_seeds = KnowsSeeds(stages);
  std::vector<std::vector<std::string>> rows(1, {"stage"});
  for (const Column& column : kFigures)
    rows[0].emplace_back(column.heading);
  for (const StageRow& stage : stages) {
    std::vector<std::string> row = {OneLine(stage.name)};
    for (const Column& column : kFigures)
      row.push_back(Figure(stage.*column.measure, column, between_seeds));
    rows.push_back(std::move(row));
  }
  return fmt::format(
             "Stages: per cent of held-out problems, thinking in tokens; ± {}\n",
             between_seeds ? "standard deviation between seeds" : "95 % confidence half-width") +
         Aligned(std::move(rows));
}

nlohmann::json JsonNumber(double value) {
  return std::isfinite(value) ? nlohmann::json(value) : nlohmann::json(nullptr);
}

}  // namespace

std::string RenderClaimsText(const std::vector<Claim>& claims,
                             const std::vector<StageRow>& stages) {
  std::string out;
  if (!claims.empty()) {
    const auto kept =
        std::count_if(claims.begin(), claims.end(), [](const Claim& c) { return c.kept; });
    out += fmt::format("Claims: {} of {} kept\n", kept, claims.size());
    for (const Claim& claim : claims)
      out += ClaimLines(claim);
  }
  if (!claims.empty() && !stages.empty()) out += '\n';
  if (!stages.empty()) out += StageLines(stages);
  return out;
}

nlohmann::json ClaimsJson(const std::vector<Claim>& claims) {
  nlohmann::json out = nlohmann::json::array();
  for (const Claim& claim : claims) {
    out.push_back({{"name", CleanText(claim.name)},
                   {"kept", claim.kept},
                   {"figures", CleanText(claim.figures)},
                   {"statement", CleanText(claim.statement)}});
  }
  return out;
}

nlohmann::json StagesJson(const std::vector<StageRow>& stages) {
  nlohmann::json out = nlohmann::json::object();
  for (const StageRow& stage : stages) {
    out[CleanText(stage.name)] = {{"pass_at_1", JsonNumber(stage.pass_at_1.mean)},
                                  {"ci95", JsonNumber(stage.pass_at_1.ci95)},
                                  {"std", JsonNumber(stage.pass_at_1.std)},
                                  {"pass_at_1_hardest", JsonNumber(stage.pass_at_1_hardest.mean)},
                                  {"general_pass_at_1", JsonNumber(stage.general_pass_at_1.mean)},
                                  {"well_formed", JsonNumber(stage.well_formed.mean)},
                                  {"language", JsonNumber(stage.language.mean)},
                                  {"thinking_tokens", JsonNumber(stage.thinking_tokens.mean)}};
  }
  return out;
}

}  // namespace aha::pipelines
