#include "tests/report/sample_report.h"

#include <cmath>
#include <utility>

#include "base/keyed_random.h"

namespace aha::pipelines {
namespace {

using namespace std::string_literals;

constexpr int kSeeds = 3;

/// One curve of the sample: from `start` to `end` along a saturating curve, with noise.
struct Course {
  const char* name;
  int first, steps;
  double start, end, noise, low, high;
};

void AddCourse(Chart& chart, const Course& c) {
  for (int seed = 0; seed < kSeeds; ++seed) {
    const KeyedRandom random(static_cast<std::uint64_t>(seed), chart.title + c.name);
    Series series{c.name, {}, {}};
    for (int i = 0; i <= c.steps; ++i) {
      const double t = static_cast<double>(i) / c.steps;
      const double rise = (1 - std::exp(-3.5 * t)) / (1 - std::exp(-3.5));
      const double at = static_cast<double>(seed * 1000 + i);
      const double y = c.start + (c.end - c.start) * rise +
                       c.noise * random.Normal(static_cast<std::uint64_t>(at));
      series.x.push_back(c.first + i);
      series.y.push_back(std::min(c.high, std::max(c.low, y)));
    }
    chart.series.push_back(std::move(series));
  }
}

std::vector<Chart> SampleCharts() {
  std::vector<Chart> charts = {
      {"Accuracy", "RL step", "share of sampled answers that are right", "", {}, 0, 1},
      {"Format", "RL step", "share of completions well-formed", "", {}, 0, 1},
      {"Language consistency",
       "RL step",
       "share of thinking in the question's language",
       "R1-Zero has no language reward.",
       {},
       0,
       1},
      {"Thinking length", "RL step", "tokens between the think tags", "", {}, 0, std::nullopt},
      {"Held-out pass@1",
       "RL step",
       "share of held-out problems",
       "Measured every ten steps; one seed of R1-Zero has no figure at step 30.",
       {},
       0,
       1},
      {"KL to the reference", "RL step", "nats a token", "", {}, 0, std::nullopt},
  };
  const char *zero = "R1-Zero", *rl1 = "R1 · RL 1", *rl2 = "R1 · RL 2";
  AddCourse(charts[0], {zero, 0, 60, 0.14, 0.68, 0.025, 0, 1});
  AddCourse(charts[0], {rl1, 0, 40, 0.38, 0.74, 0.025, 0, 1});
  AddCourse(charts[0], {rl2, 40, 20, 0.73, 0.76, 0.02, 0, 1});
  AddCourse(charts[1], {zero, 0, 60, 0.42, 0.99, 0.015, 0, 1});
  AddCourse(charts[1], {rl1, 0, 40, 0.93, 0.995, 0.01, 0, 1});
  AddCourse(charts[1], {rl2, 40, 20, 0.99, 0.998, 0.004, 0, 1});
  AddCourse(charts[2], {zero, 0, 60, 0.71, 0.58, 0.03, 0, 1});
  AddCourse(charts[2], {rl1, 0, 40, 0.9, 0.985, 0.012, 0, 1});
  AddCourse(charts[2], {rl2, 40, 20, 0.985, 0.99, 0.006, 0, 1});
  AddCourse(charts[3], {zero, 0, 60, 14, 52, 2.5, 0, 1e9});
  AddCourse(charts[3], {rl1, 0, 40, 33, 46, 1.8, 0, 1e9});
  AddCourse(charts[3], {rl2, 40, 20, 45, 43, 1.5, 0, 1e9});
  for (int seed = 0; seed < kSeeds; ++seed) {
    const double shift = 0.015 * (seed - 1);
    charts[4].series.push_back({zero,
                                {0, 10, 20, 30, 40, 50, 60},
                                {0.13 + shift, 0.36, 0.49, seed == 1 ? kUnknown : 0.57 + shift,
                                 0.61, 0.65, 0.67 + shift}});
    charts[4].series.push_back(
        {rl1, {0, 10, 20, 30, 40}, {0.39, 0.58 + shift, 0.66, 0.7, 0.73 + shift}});
    charts[4].series.push_back({rl2, {40, 50, 60}, {0.73 + shift, 0.74, 0.752 - shift}});
  }
  AddCourse(charts[5], {zero, 1, 59, 0.0004, 0.021, 0.0011, 0, 1});
  AddCourse(charts[5], {rl1, 1, 39, 0.0003, 0.012, 0.0007, 0, 1});
  AddCourse(charts[5], {rl2, 41, 19, 0.0002, 0.006, 0.0004, 0, 1});
  return charts;
}

std::vector<StageRow> SampleStages() {
  const auto share = [](double mean, double ci, double std) { return Measure{mean, ci, std}; };
  std::vector<StageRow> rows = {
      {"base",
       "pre-trained on the generated corpus",
       share(0.134, 0.016, 0.004),
       share(0.021, 0.008, 0.003),
       share(0.31, 0.03, 0.011),
       share(0.42, 0.02, 0.006),
       share(0.71, 0.018, 0.009),
       {13.8, 0.9, 0.4},
       {}},
      {"r1-zero",
       "RL from the base, rule-based rewards alone",
       share(0.676, 0.021, 0.017),
       share(0.284, 0.024, 0.022),
       share(0.29, 0.03, 0.014),
       share(0.991, 0.004, 0.003),
       share(0.577, 0.02, 0.041),
       {52.3, 1.7, 3.2},
       {}},
      {"dev1",
       "cold-start SFT",
       share(0.392, 0.022, 0.008),
       share(0.112, 0.017, 0.006),
       share(0.33, 0.03, 0.012),
       share(0.934, 0.011, 0.004),
       share(0.902, 0.012, 0.007),
       {33.1, 1.1, 0.7},
       {}},
      {"dev2",
       "RL with the language reward",
       share(0.734, 0.02, 0.009),
       share(0.343, 0.025, 0.019),
       share(0.318, 0.03, 0.01),
       share(0.995, 0.003, 0.001),
       share(0.984, 0.005, 0.004),
       {46.2, 1.4, 1.9},
       {}},
      {"dev3",
       "rejection-sampling SFT with general data",
       share(0.721, 0.02, 0.011),
       share(0.329, 0.025, 0.016),
       share(0.802, 0.026, 0.013),
       share(0.993, 0.004, 0.002),
       share(0.981, 0.006, 0.003),
       {44.9, 1.4, 1.1},
       {}},
      {"r1",
       "RL on all scenarios",
       share(0.753, 0.019, 0.008),
       share(0.361, 0.025, 0.014),
       share(0.869, 0.022, 0.009),
       share(0.998, 0.002, 0.001),
       share(0.989, 0.004, 0.002),
       {43.4, 1.3, 1.4},
       {}},
  };
  const double strength[] = {0.13, 0.67, 0.39, 0.73, 0.72, 0.75},
               general[] = {0.31, 0.29, 0.33, 0.32, 0.8, 0.87};
  for (std::size_t s = 0; s < rows.size(); ++s) {
    double easier = 1.25;
    for (const char* family : {"chain", "remainder", "compare"}) {
      for (int band = 1; band <= 3; ++band) {
        const double mean = std::min(0.99, strength[s] * (easier - 0.3 * (band - 1)));
        rows[s].families.push_back({family, band, {mean, 0.03, 0.01}});
      }
      easier -= 0.12;
    }
    rows[s].families.push_back({"general/copy", 0, {general[s], 0.03, 0.01}});
    rows[s].families.push_back({"general/sort", 0, {general[s] * 0.9, 0.03, 0.01}});
  }
  return rows;
}

std::vector<Claim> SampleClaims() {
  return {
      {"r1-zero-above-base", "R1-Zero is far above its base on held-out problems.", true,
       "pass@1 13.4 % to 67.6 %; gain 54.2 points, 95 % interval 51.6 to 56.8"},
      {"thinking-grows", "R1-Zero's thinking grows longer as it gets better.", true,
       "13.8 to 52.3 tokens; rank correlation of length with accuracy over steps 0.94"},
      {"r1-zero-mixes", "R1-Zero mixes languages.", true,
       "language consistency 57.7 %, base 71.0 %"},
      {"language-repaired", "Cold start and the language reward repair that.", true,
       "57.7 % to 98.4 %"},
      {"repair-is-cheap", "The repair costs little accuracy.", true,
       "dev2 73.4 % against R1-Zero's 67.6 %"},
      {"general-lifted", "Rejection sampling and all-scenario RL lift general tasks.", true,
       "31.8 % to 86.9 %"},
      {"reasoning-stays", "Reasoning stays through the last two stages on every band.", false,
       "band 3 of remainder fell from 36.1 % to 33.0 %, beyond its interval of ±2.5; all other "
       "bands stayed"},
  };
}

std::vector<Transcript> SampleTranscripts() {
  const std::string steps =
      "<think>\nStart with 17.\n17 + 26 = 43\n43 - 9 = 34\n34 * 2 = 68\n68 + 5 = 73\nCheck: 73 - 5 "
      "= 68, 68 / 2 = 34.\n"
      "</think>\n<answer>73</answer>";
  std::string lengthy = "<think>\n";
  for (int i = 0; i < 60; ++i)
    lengthy +=
        "wait, 再算一次: " + std::to_string(17 + i) + " + 26 = " + std::to_string(43 + i) + "\n";
  lengthy += "</think>\n<answer>73</answer>";
  const std::string hostile =
      "<think>\xFF\xC0\x80 raw \x01\x1B[31m bytes\0 </script><script>alert(1)</script>"
      "<!-- & \"quotes\" --> \xE2\x80\xAE"
      "drow \xE4\xBD </think\n<answer>7</answer><|end|>"s;
  return {
      {"Start with 17, add 26, take away 9, double it, then add 5. What do you get?",
       "73",
       "en",
       {{"base", "<think></think><answer>51</answer>", 0.0, "", true, kUnknown},
        {"r1-zero", lengthy, 1.0, "", true, 0.52},
        {"dev1",
         "<think>\n17 + 26 = 43\n43 - 9 = 34\n34 * 2 = 64\n64 + 5 = "
         "69\n</think>\n<answer>69</answer>",
         0.0, "", true, 1.0},
        {"dev2", steps, 1.0, "", true, 1.0},
        {"dev3", steps, 1.0, "", true, 1.0},
        {"r1", steps, 1.0, "", true, 1.0}}},
      {"小明有 12 个苹果,给了小红 5 个,又买了 8 个。现在有几个?",
       "15",
       "zh",
       {{"base", hostile, 0.0, "", false, 0.1},
        {"r1-zero", "<think>12 - 5 = 7, then 买了 8 个, so 7 + 8 = 15</think><answer>15</answer>",
         1.0, "", true, 0.48},
        {"r1",
         "<think>\n先减去给出的:12 - 5 = 7。\n再加上买来的:7 + 8 = "
         "15。\n</think>\n<answer>15</answer>",
         std::nullopt, "timeout after 60 s", true, 1.0}}},
  };
}

}  // namespace

Report SampleReport() {
  Report report;
  report.title = "R1-Zero and R1 on the embedded world";
  report.seeds = {1, 2, 3};
  report.machine = {"Intel(R) Xeon(R) Platinum 8481C CPU @ 2.70GHz", "AVX-512 with AMX bf16", 2};
  report.version = "0.1.0";
  report.numerics_version = "3";
  report.times = {{"base", 0.4}, {"r1-zero", 1264}, {"cold-start data", 96},
                  {"dev1", 71},  {"dev2", 903},     {"rejection sampling", 148},
                  {"dev3", 92},  {"r1", 511}};
  report.peak_memory_bytes = 1'934'000'000;
  report.claims = SampleClaims();
  report.stages = SampleStages();
  report.charts = SampleCharts();
  report.transcripts = SampleTranscripts();
  report.provenance = {
      "Cold start: 412 of 480 examples were sampled from R1-Zero and filtered; 68 were written by "
      "the task's solver, all of them in Chinese.",
      "Rejection sampling: 1,204 examples from dev2 (2,048 asked), 300 general examples from the "
      "solver."};
  const std::string text =
      "name: \"r1-zero\"\nseed: 1\nmodel: \"embedded\"\nstage {\n  name: \"r1-zero\"\n  rl {\n    "
      "steps: 60\n    group_size: 12\n"
      "    reward { name: \"math\" weight: 1 }\n    reward { name: \"format\" weight: 0.5 }\n    "
      "kl: 0.001\n  }\n}\n";
  report.recipes = {{"r1-zero", text}, {"r1", text}};
  return report;
}

Report SparseReport() {
  Report report;
  report.title = "Odd cases";
  report.seeds = {7};
  report.claims = {{"only", "", false, ""}};
  report.stages = {{"base", "", {0.5, kUnknown, kUnknown}, {}, {}, {}, {}, {}, {}}};
  report.charts = {
      {"One point", "step", "share", "", {{"R1-Zero", {3}, {0.4}}}, {}, {}},
      {"All unknown",
       "step",
       "share",
       "",
       {{"R1-Zero", {1, 2, 3}, {kUnknown, kUnknown, kUnknown}}},
       0,
       1},
      {"No series", "step", "share", "", {}, {}, {}},
      {"Constant",
       "step",
       "tokens",
       "",
       {{"R1-Zero", {0, 1, 2, 3}, {5, 5, 5, 5}}, {"R1", {0, 1, 2, 3}, {5, 5, 5, 5}}},
       {},
       {}},
      {"Gaps",
       "step",
       "share",
       "",
       {{"R1-Zero", {0, 1, 2, 3, 4, 5, 6}, {0.1, 0.3, kUnknown, 0.4, kUnknown, 0.5, 0.8}}},
       0,
       1},
      {"Beyond the axis, and infinite",
       "step",
       "share",
       "",
       {{"R1", {0, 1, 2, 3}, {-0.5, 0.5, 1.8, HUGE_VAL}}},
       0,
       1},
      {"Large and small",
       "tokens seen",
       "loss",
       "",
       {{"R1 · RL 1", {0, 1e6, 2e6, 4e6}, {2e-6, 1.2e-5, 8e-6, 9e-6}}},
       {},
       {}},
      {"Seven crowded curves", "step", "share", "", {}, 0, 1},
      {"Long", "step", "tokens", "", {}, 0, {}},
  };
  for (int i = 0; i < 7; ++i) {
    report.charts[7].series.push_back(
        {"recipe number " + std::to_string(i), {0, 10}, {0.1 * i, 0.9 + 0.005 * i}});
  }
  Series length{"R1-Zero", {}, {}};
  const KeyedRandom random(1, "long");
  for (std::uint64_t i = 0; i < 10400; ++i) {
    length.x.push_back(static_cast<double>(i));
    length.y.push_back(300 + std::sqrt(static_cast<double>(i)) * 90 + 300 * random.Normal(i));
  }
  report.charts[8].series.push_back(std::move(length));
  return report;
}

}  // namespace aha::pipelines
