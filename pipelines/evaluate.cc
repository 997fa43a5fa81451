#include "pipelines/evaluate.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "pipelines/model/model_folder.h"
#include "pipelines/run/progress.h"
#include "pipelines/tasks/problem.h"
#include "rewards/verifiers/math/extract.h"

namespace aha::pipelines {
namespace {

enum Component : int { kAccuracy = 0, kFormat = 1, kLanguage = 2 };

RewardPlan EvalRewards() {
  RewardPlan plan;
  plan.Add("math", 1);
  plan.Add("format", 0);
  plan.Add("language", 0);
  return plan;
}

// A mean that grows; NaN while empty.
struct Mean {
  double sum = 0;
  double count = 0;
  void Add(double value) {
    sum += value;
    ++count;
  }
  [[nodiscard]] double Value() const { return count > 0 ? sum / count : std::nan(""); }
};

struct ProblemScore {
  double mean = 0;
  bool any = false;
  bool majority = false;
  bool scored = false;
};

ProblemScore ScoreProblem(const proto::GroupRecord& record, EvalReport& report) {
  ProblemScore score;
  Mean mean;
  std::map<std::string, std::pair<int, double>> votes;  // answer -> votes, its score
  std::vector<std::string> order;
  for (const proto::SampleRecord& sample : record.sample()) {
    for (const proto::Outcome& outcome : sample.outcome())
      report.failures += outcome.has_failure() ? 1 : 0;
    const proto::Outcome& accuracy = sample.outcome(kAccuracy);
    if (!accuracy.has_score()) continue;
    mean.Add(accuracy.score());
    score.any = score.any || accuracy.score() >= 1;
    const auto marked = rewards::math::ExtractMarked(sample.completion().text());
    const std::string answer = marked ? marked->text : sample.completion().text();
    const auto [vote, fresh] = votes.try_emplace(answer, 0, accuracy.score());
    if (fresh) order.push_back(answer);
    ++vote->second.first;
  }
  if (mean.count == 0) return score;
  score.scored = true;
  score.mean = mean.Value();
  const auto best = std::max_element(order.begin(), order.end(), [&](const auto& a, const auto& b) {
    return votes[a].first < votes[b].first;
  });
  score.majority = votes[*best].second >= 1;
  return score;
}

void Aggregate(const std::vector<ScoredGroup>& groups, EvalReport& report) {
  Mean pass, any, majority, well_formed, language, thinking, tokens;
  std::vector<double> means;
  std::map<std::pair<std::string, std::uint32_t>, Mean> families;
  for (const ScoredGroup& group : groups) {
    const ProblemScore score = ScoreProblem(group.record, report);
    for (int s = 0; s < group.record.sample_size(); ++s) {
      const proto::SampleRecord& sample = group.record.sample(s);
      if (sample.outcome(kFormat).has_score()) well_formed.Add(sample.outcome(kFormat).score());
      if (sample.outcome(kLanguage).has_score()) language.Add(sample.outcome(kLanguage).score());
      thinking.Add(static_cast<double>(group.thinking_tokens[static_cast<std::size_t>(s)]));
      tokens.Add(sample.completion().ids_size());
    }
    if (!score.scored) continue;
    means.push_back(score.mean);
    pass.Add(score.mean);
    any.Add(score.any ? 1 : 0);
    majority.Add(score.majority ? 1 : 0);
    families[{group.question.family, group.question.band}].Add(score.mean);
  }
  report.n = means.size();
  report.pass_at_1 = pass.Value();
  double squares = 0;
  for (const double m : means)
    squares += (m - report.pass_at_1) * (m - report.pass_at_1);
  const auto n = static_cast<double>(means.size());
  if (means.size() > 1) report.ci95 = 1.96 * std::sqrt(squares / (n - 1) / n);
  report.pass_at_k = any.Value();
  report.cons_at_k = majority.Value();
  report.well_formed = well_formed.Value();
  report.language = language.Value();
  report.thinking_tokens = thinking.Value();
  report.completion_tokens = tokens.Value();
  for (const auto& [key, mean] : families) {
    report.families.push_back(
        {key.first, key.second, static_cast<std::uint64_t>(mean.count), mean.Value()});
  }
}

}  // namespace

Result<proto::Prompts> TaskPrompts(const std::string& name) {
  proto::Prompts prompts;
  if (name.ends_with(".jsonl")) {
    prompts.mutable_jsonl()->set_path(name);
    return prompts;
  }
  proto::TaskMix& task = *prompts.add_task();
  task.set_family(name == "hardest" ? "reasoning" : name);
  if (name == "hardest") task.add_band(3);
  if (const auto families = FamiliesNamed(task.family()); !families) {
    return Fail(Code::kInvalidArgument, "{}; also: hardest, or a .jsonl file",
                families.error().message);
  }
  return prompts;
}

Result<EvalReport> Evaluate(const std::filesystem::path& model_folder,
                            const EvalSpec& spec,
                            const rewards::Registry& registry,
                            std::vector<ScoredGroup>* groups) {
  AHA_ASSIGN(const Model model, LoadModel(model_folder, Use::kInference));
  AHA_ASSIGN(const QuestionSource source, QuestionSource::Make(spec.prompts, spec.split, spec.seed,
                                                               "eval", spec.folder, model_folder));
  AHA_ASSIGN(const std::unique_ptr<Scorer> scorer, Scorer::Start(registry, {}));
  AHA_ASSIGN(const policy::cpu::KernelTarget target, policy::cpu::ChooseKernelTarget());
  const policy::cpu::Cpu cpu(target, spec.threads);
  const std::unique_ptr<Sampler> sampler = MakeLocalSampler(model.weights, model.stop_ids, cpu);
  SamplePlan plan;
  plan.seed = spec.seed;
  plan.stage = "eval";
  plan.samples = spec.samples;
  plan.prompts_per_unit = spec.prompts_per_unit;
  plan.sampling.set_temperature(static_cast<float>(spec.temperature));
  plan.sampling.set_top_p(static_cast<float>(spec.top_p));
  plan.sampling.set_max_new_tokens(spec.max_new_tokens);
  std::vector<Question> questions;
  for (std::uint64_t k = 0; k < spec.count; ++k) {
    AHA_ASSIGN(questions.emplace_back(), source.At(k));
  }
  Progress progress(UnitCount(spec.count, plan.prompts_per_unit), "evaluation (units)");
  const Experience experience{sampler.get(), scorer.get(), &model.tokenizer,
                              &source.prompt_template(), model.stop_ids};
  AHA_ASSIGN(
      std::vector<ScoredGroup> scored,
      SampleAndScore(experience, questions, plan, EvalRewards(), [&] { progress.Advance(1); }));
  EvalReport report;
  Aggregate(scored, report);
  if (groups != nullptr) *groups = std::move(scored);
  return report;
}

}  // namespace aha::pipelines
