#include "pipelines/reproduce/claims.h"

#include <cmath>
#include <functional>

#include <fmt/format.h>

namespace aha::pipelines {
namespace {

Measure Over(const MeasuredBySeed& seeds,
             const std::function<double(const Measured&)>& value,
             const std::function<double(const Measured&)>& ci95 = {}) {
  Measure out;
  double sum = 0;
  for (const Measured& m : seeds)
    sum += value(m);
  const auto n = static_cast<double>(seeds.size());
  out.mean = sum / n;
  double squares = 0;
  double intervals = 0;
  for (const Measured& m : seeds) {
    squares += (value(m) - out.mean) * (value(m) - out.mean);
    if (ci95) intervals += ci95(m) * ci95(m);
  }
  if (seeds.size() > 1) out.std = std::sqrt(squares / (n - 1));
  if (ci95) out.ci95 = std::sqrt(intervals) / n;
  return out;
}

std::string DescriptionOf(const std::string& name) {
  static const std::map<std::string, std::string> kDescriptions = {
      {"base", "pre-trained on the corpus"},
      {"r1-zero", "RL straight from the base"},
      {"dev1", "cold-start SFT from the base"},
      {"dev2", "RL with the language reward"},
      {"dev3", "rejection-sampling SFT from the base"},
      {"r1", "RL over reasoning and general tasks"}};
  const auto it = kDescriptions.find(name);
  return it == kDescriptions.end() ? "" : it->second;
}

// The figures that claims speak of.
struct Figures {
  double pass = 0, general = 0, well_formed = 0, language = 0, thinking = 0;
};

}  // namespace

StageRow RowOf(const std::string& name, const MeasuredBySeed& seeds) {
  StageRow row;
  row.name = name;
  row.description = DescriptionOf(name);
  row.pass_at_1 = Over(
      seeds, [](const Measured& m) { return m.trained.pass_at_1; },
      [](const Measured& m) { return m.trained.ci95; });
  row.pass_at_1_hardest = Over(
      seeds, [](const Measured& m) { return m.hardest.pass_at_1; },
      [](const Measured& m) { return m.hardest.ci95; });
  row.general_pass_at_1 = Over(
      seeds, [](const Measured& m) { return m.general.pass_at_1; },
      [](const Measured& m) { return m.general.ci95; });
  row.well_formed = Over(seeds, [](const Measured& m) { return m.trained.well_formed; });
  row.language = Over(seeds, [](const Measured& m) { return m.trained.language; });
  row.thinking_tokens = Over(seeds, [](const Measured& m) { return m.trained.thinking_tokens; });
  std::map<std::pair<std::string, std::uint32_t>, std::pair<double, int>> families;
  for (const Measured& m : seeds) {
    for (const EvalReport* report : {&m.trained, &m.hardest, &m.general}) {
      for (const FamilyScore& f : report->families) {
        auto& [sum, count] = families[{f.family, f.band}];
        sum += f.pass_at_1;
        ++count;
      }
    }
  }
  for (const auto& [key, value] : families) {
    FamilyFigure figure;
    figure.family = key.first;
    figure.band = static_cast<int>(key.second);
    figure.pass_at_1.mean = value.first / value.second;
    row.families.push_back(figure);
  }
  return row;
}

std::vector<Claim> JudgeClaims(const std::map<std::string, MeasuredBySeed>& stages) {
  const auto has = [&](const char* name) {
    return stages.contains(name) && !stages.at(name).empty();
  };
  const auto figures = [&](const char* name) {
    const StageRow row = RowOf(name, stages.at(name));
    return Figures{row.pass_at_1.mean, row.general_pass_at_1.mean, row.well_formed.mean,
                   row.language.mean, row.thinking_tokens.mean};
  };
  std::vector<Claim> claims;
  if (has("base") && has("r1-zero")) {
    const Figures base = figures("base"), zero = figures("r1-zero");
    claims.push_back({"r1-zero-above-base", "R1-Zero reaches pass@1 0.60 and its base's + 0.35",
                      zero.pass >= 0.6 && zero.pass >= base.pass + 0.35,
                      fmt::format("pass@1 {:.3f} -> {:.3f}", base.pass, zero.pass)});
    claims.push_back({"r1-zero-well-formed", "R1-Zero's completions are well-formed (0.95)",
                      zero.well_formed >= 0.95,
                      fmt::format("{:.3f} -> {:.3f}", base.well_formed, zero.well_formed)});
    claims.push_back({"thinking-grows", "R1-Zero thinks longer than its base, unasked",
                      zero.thinking > base.thinking,
                      fmt::format("{:.1f} -> {:.1f} tokens", base.thinking, zero.thinking)});
    claims.push_back({"r1-zero-mixes-languages",
                      "R1-Zero does not keep to the question's language (below 0.90)",
                      zero.language < 0.9,
                      fmt::format("language {:.3f} -> {:.3f}", base.language, zero.language)});
  }
  if (has("r1-zero") && has("r1")) {
    const Figures zero = figures("r1-zero"), r1 = figures("r1");
    claims.push_back({"r1-keeps-language", "R1 thinks in the question's language (0.95)",
                      r1.language >= 0.95,
                      fmt::format("language {:.3f} (R1-Zero {:.3f})", r1.language, zero.language)});
    claims.push_back({"r1-as-good-as-r1-zero", "R1's pass@1 is within 0.05 of R1-Zero's or above",
                      r1.pass >= zero.pass - 0.05,
                      fmt::format("pass@1 {:.3f} (R1-Zero {:.3f})", r1.pass, zero.pass)});
  }
  if (has("dev2") && has("r1")) {
    const Figures dev2 = figures("dev2"), r1 = figures("r1");
    claims.push_back({"last-stages-lift-general",
                      "Rejection sampling and all-scenario RL lift general tasks",
                      r1.general > dev2.general,
                      fmt::format("general {:.3f} -> {:.3f}", dev2.general, r1.general)});
    claims.push_back({"last-stages-keep-reasoning", "while reasoning stays (within 0.05)",
                      r1.pass >= dev2.pass - 0.05,
                      fmt::format("pass@1 {:.3f} -> {:.3f}", dev2.pass, r1.pass)});
  }
  return claims;
}

}  // namespace aha::pipelines
