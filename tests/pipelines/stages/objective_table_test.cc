// Objectives by error: each piece and each preset in fp32 beside an independent autograd in
// float64, and beside TRL's own loss where it has one. Prints the tables; `objective_table_test
// --gtest_filter=ObjectiveTable*`.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "pipelines/recipes/recipe.h"
#include "pipelines/recipes/resolve.h"
#include "pipelines/stages/rl_objective.h"
#include "tests/grpo/golden_objectives.h"

namespace aha::pipelines {
namespace {

using grpo::golden::Json;
using FloatRows = std::vector<std::vector<float>>;

constexpr double kTolerance = 1e-5;  // relative

// Relative to the largest slope of the batch: a clipped token's is 0.
double SlopeError(const FloatRows& got, const Json& want) {
  double error = 0, largest = 0;
  for (std::size_t i = 0; i < got.size(); ++i) {
    for (std::size_t t = 0; t < got[i].size(); ++t) {
      error = std::max(error, std::abs(double{got[i][t]} - want[i][t].get<double>()));
      largest = std::max(largest, std::abs(want[i][t].get<double>()));
    }
  }
  return error / largest;
}

double LossError(double got, const Json& want) {
  return std::abs(got - want.get<double>()) / std::abs(want.get<double>());
}

struct Row {
  std::string name;
  double loss = 0, slope = 0;
  double trl_loss = NAN, trl_slope = NAN;
};

void Print(const char* title, const std::vector<Row>& rows, bool trl) {
  std::printf("\n| %s | loss | gradient |%s\n|---|---|---|%s\n", title,
              trl ? " TRL loss | TRL gradient |" : "", trl ? "---|---|" : "");
  for (const Row& row : rows) {
    std::printf("| %s | %.1e | %.1e |", row.name.c_str(), row.loss, row.slope);
    if (trl && std::isnan(row.trl_loss)) std::printf(" - | - |");
    if (trl && !std::isnan(row.trl_loss))
      std::printf(" %.1e | %.1e |", row.trl_loss, row.trl_slope);
    std::printf("\n");
  }
}

TEST(ObjectiveTable, PiecesEqualAutogradAndTrlInFloat32) {
  std::vector<Row> rows;
  for (const Json& c : grpo::golden::Golden()["cases"]) {
    FloatRows slopes;
    const grpo::golden::Batch<float> batch(c["rule"].value("per_token", false));
    const double loss = batch.Evaluate(grpo::golden::RuleOf(c["rule"]), slopes);
    Row& row = rows.emplace_back();
    row.name = c["name"];
    row.loss = LossError(loss, c["loss"]);
    row.slope = SlopeError(slopes, c["slope"]);
    if (c.contains("trl")) {
      row.trl_loss = LossError(loss, c["trl"]["loss"]);
      row.trl_slope = SlopeError(slopes, c["trl"]["slope"]);
    }
    for (const double error : {row.loss, row.slope, row.trl_loss, row.trl_slope})
      EXPECT_FALSE(error > kTolerance) << row.name;
    EXPECT_TRUE(std::isfinite(row.loss) && std::isfinite(row.slope)) << row.name << " has no loss";
  }
  Print("piece", rows, true);
}

// ---- Presets, from a recipe's text and scored groups on.

const Json& Presets() {
  static const Json golden =
      Json::parse(ReadFile(AHA_SOURCE_DIR "/tests/grpo/golden/presets.json").value());
  return golden;
}

proto::Rl RlOf(const std::string& keys) {
  const auto loaded = ParseRecipe(
      "name: \"r\" stage { name: \"a\" rl { prompts { task { family: \"chain\" } } reward { name: "
      "\"steps\" } max_new_tokens: 8 " +
          keys + " } }",
      "r.textproto", ".", {});
  EXPECT_TRUE(loaded) << loaded.error().message;
  return Resolved(loaded->recipe).stage(0).rl();
}

std::vector<float> Floats(const Json& numbers) {
  return numbers.get<std::vector<float>>();
}

std::vector<ScoredGroup> Groups() {
  std::vector<ScoredGroup> groups;
  for (const Json& s : Presets()["samples"]) {
    const auto g = s["group"].get<std::size_t>();
    if (groups.size() <= g)
      groups.emplace_back().record.add_prompt_ids(static_cast<std::uint32_t>(g));
    proto::SampleRecord& sample = *groups[g].record.add_sample();
    for (const float old : Floats(s["old"])) {
      sample.mutable_completion()->add_ids(7);
      sample.mutable_completion()->add_logprobs(old);
    }
    proto::Outcome& outcome = *sample.add_outcome();
    if (s["reward"].is_null()) {
      outcome.mutable_failure()->set_kind(proto::Failure::TIMEOUT);
      continue;
    }
    sample.set_total(s["reward"]);
    outcome.set_score(s["reward"]);
    for (const Json& step : s["steps"]) {
      outcome.add_steps()->set_token_end(step[0]);
      outcome.mutable_steps()->rbegin()->set_score(step[1]);
    }
  }
  return groups;
}

// Which sample of the golden file this is: its recorded log-probabilities tell.
std::size_t PlaceOf(const grpo::Sample& sample) {
  const Json& all = Presets()["samples"];
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (Floats(all[i]["old"]) == sample.rollout_logprobs) return i;
  }
  ADD_FAILURE() << "no such sample";
  return 0;
}

std::vector<double> Penalties(grpo::KlEstimate estimate, const grpo::Sample& sample) {
  const auto reference = Floats(Presets()["samples"][PlaceOf(sample)]["reference"]);
  std::vector<double> out;
  for (std::size_t t = 0; t < reference.size(); ++t)
    out.push_back(
        grpo::KlOf(estimate, double{reference[t]} - double{sample.rollout_logprobs[t]}).value);
  return out;
}

Row RowOf(const Json& c) {
  const proto::Rl rl = RlOf(c["keys"]);
  std::vector<ScoredGroup> groups = Groups();
  const auto samples = MakeSamples(
      rl, groups,
      [&](const std::vector<grpo::Sample>& of) -> Result<std::vector<std::vector<double>>> {
        std::vector<std::vector<double>> penalties;
        for (const grpo::Sample& s : of)
          penalties.push_back(Penalties(KlEstimateOf(rl), s));
        return penalties;
      });
  const grpo::ObjectiveRule rule = LearnerOptionsOf(rl).rule;
  const Json& golden = Presets()["samples"];
  FloatRows slopes;
  for (const Json& s : golden)
    slopes.emplace_back(s["old"].size(), 0.F);
  grpo::Denominators denominators;
  for (const grpo::Sample& s : *samples)
    denominators.Add(rule, static_cast<std::int64_t>(s.completion.size()), false);
  double loss = 0;
  for (const grpo::Sample& s : *samples) {
    const std::size_t i = PlaceOf(s);
    const auto logprob = Floats(golden[i]["logprob"]), reference = Floats(golden[i]["reference"]);
    grpo::CompletionView<float> view;
    view.logprob_T = logprob;
    view.old_T = s.rollout_logprobs;
    view.reference_T = reference;
    view.advantage = s.advantage;
    view.advantage_T = s.advantages;
    loss += grpo::Objective<float>(rule, view, denominators, slopes[i]).loss;
  }
  return {c["name"], LossError(loss, c["loss"]), SlopeError(slopes, c["slope"])};
}

TEST(ObjectiveTable, PresetsEqualAutogradFromRewardsOn) {
  std::vector<Row> rows;
  for (const Json& c : Presets()["cases"]) {
    rows.push_back(RowOf(c));
    EXPECT_LE(rows.back().loss, kTolerance) << rows.back().name;
    EXPECT_LE(rows.back().slope, kTolerance) << rows.back().name;
  }
  EXPECT_EQ(rows.size(), 8U);
  Print("preset, from rewards on", rows, false);
}

}  // namespace
}  // namespace aha::pipelines
