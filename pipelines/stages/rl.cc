// Reinforcement learning: sample groups, score them over ZeroMQ, update with GRPO, step after step.

#include <algorithm>
#include <chrono>

#include "base/log.h"
#include "grpo/advantage.h"
#include "grpo/learner.h"
#include "pipelines/model/model_folder.h"
#include "pipelines/run/append_file.h"
#include "pipelines/run/delimited.h"
#include "pipelines/run/metrics_writer.h"
#include "pipelines/run/progress.h"
#include "pipelines/sampling/scored_group.h"
#include "pipelines/stages/stage.h"
#include "pipelines/stages/training_state.h"

namespace aha::pipelines {
namespace {

using Clock = std::chrono::steady_clock;

double SecondsSince(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

grpo::LearnerOptions LearnerOptionsOf(const proto::Rl& rl) {
  grpo::LearnerOptions options;
  options.rule = {rl.clip_low(), rl.clip_high(), rl.kl()};
  options.aggregation = rl.aggregation() == "token" ? grpo::Aggregation::kToken : grpo::Aggregation::kSequence;
  options.temperature = rl.temperature();
  options.adamw = AdamWOf(rl.optimizer());
  options.bias_rate = rl.moe().bias_update();
  options.balance_loss = rl.moe().balance_loss();
  options.mtp_loss = rl.mtp_loss();
  options.mtp_to_trunk = rl.mtp_to_trunk();
  options.updates = rl.updates_per_step();
  options.micro_batch_tokens = rl.micro_batch_tokens();
  return options;
}

grpo::GroupScale ScaleOf(const proto::Rl& rl) {
  if (rl.advantage_std() == "population") return grpo::GroupScale::kPopulation;
  return rl.advantage_std() == "none" ? grpo::GroupScale::kNone : grpo::GroupScale::kSample;
}

RewardPlan RewardsOf(const proto::Rl& rl) {
  RewardPlan plan;
  for (const proto::RewardTerm& term : rl.reward()) {
    plan.Add(term.name(), term.weight(), term.config());
    if (!term.isolate()) continue;
    plan.specs.back().mutable_isolation()->set_memory_mb(term.isolate_memory_mb());
    plan.specs.back().mutable_isolation()->set_timeout_ms(term.isolate_timeout_ms());
  }
  return plan;
}

SamplePlan SamplePlanOf(const StageIo& io, const proto::Rl& rl) {
  SamplePlan plan;
  plan.seed = io.recipe->seed();
  plan.stage = io.stage->name();
  plan.samples = rl.group_size();
  plan.prompts_per_unit = rl.prompts_per_unit();
  plan.sampling.set_temperature(static_cast<float>(rl.temperature()));
  plan.sampling.set_max_new_tokens(rl.max_new_tokens());
  plan.reward_timeout = std::chrono::seconds(rl.reward_timeout_s());
  return plan;
}

// Advantages into the groups' records, and the learner's samples: those whose reward is known.
std::vector<grpo::Sample> MakeSamples(std::vector<ScoredGroup>& groups, grpo::GroupScale scale) {
  std::vector<grpo::Sample> samples;
  for (ScoredGroup& group : groups) {
    std::vector<std::optional<double>> totals;
    for (const proto::SampleRecord& s : group.record.sample()) {
      totals.push_back(s.has_total() ? std::optional(s.total()) : std::nullopt);
    }
    const std::vector<double> advantages = grpo::GroupAdvantages(totals, scale);
    for (int i = 0; i < group.record.sample_size(); ++i) {
      proto::SampleRecord& s = *group.record.mutable_sample(i);
      if (!s.has_total()) continue;
      s.set_advantage(advantages[static_cast<std::size_t>(i)]);
      const proto::Completion& c = s.completion();
      samples.push_back({{group.record.prompt_ids().begin(), group.record.prompt_ids().end()},
                         {c.ids().begin(), c.ids().end()},
                         {c.logprobs().begin(), c.logprobs().end()},
                         s.advantage()});
    }
  }
  return samples;
}

void AddLearnMetrics(const grpo::LearnReport& report, double rate, double sample_seconds, double learn_seconds,
                     std::vector<Metric>& metrics) {
  metrics.insert(metrics.end(), {{"loss", report.loss},
                                 {"entropy", report.entropy},
                                 {"kl", report.kl},
                                 {"clip_fraction", report.clip_fraction},
                                 {"ratio_max", report.ratio_max},
                                 {"rollout_logprob_difference", report.rollout_difference},
                                 {"gradient_norm", report.update.gradient_norm},
                                 {"expert_load_max_violation", report.update.max_violation},
                                 {"learning_rate", rate},
                                 {"seconds/sample_and_score", sample_seconds},
                                 {"seconds/learn", learn_seconds}});
}

// One RL stage while it runs.
class RlStage {
 public:
  explicit RlStage(const StageIo& io)
      : io_(io), rl_(io.stage->rl()), rewards_(RewardsOf(rl_)), plan_(SamplePlanOf(io, rl_)),
        schedule_(ScheduleOf(rl_.optimizer(), rl_.steps())) {}

  Result<StageReport> Run() {
    AHA_TRY(Prepare());
    AHA_ASSIGN(std::uint64_t step, state_->Resume());
    AHA_ASSIGN(AppendFile groups_file, AppendFile::Open(io_.folder / kGroupsFile));
    AHA_ASSIGN(MetricsWriter metrics_file, MetricsWriter::Open(io_.folder));
    Progress progress(rl_.steps(), io_.stage->name(), step);
    StageReport report;
    for (; step < rl_.steps(); ++step) {
      AHA_ASSIGN(std::vector<ScoredGroup> groups, Sample(step));
      AHA_ASSIGN(report.metrics, Learn(step, groups));
      for (const ScoredGroup& group : groups) {
        AHA_ASSIGN(const std::string bytes, Delimited(group.record));
        AHA_TRY(groups_file.Append(bytes));
      }
      AHA_TRY(metrics_file.Write(step + 1, report.metrics));
      if ((step + 1) % rl_.commit_every() == 0 || step + 1 == rl_.steps()) AHA_TRY(state_->Commit(step + 1));
      progress.Advance(1, fmt::format("reward {:.3f}  {} {:.3f}", ValueOf(report.metrics, "reward"), AccuracyName(),
                                      ValueOf(report.metrics, "reward/" + AccuracyName())));
    }
    report.checkpoint = io_.folder / "checkpoint";
    AHA_TRY(SaveModel(model_->weights, io_.init, report.checkpoint));
    return report;
  }

 private:
  static constexpr char kGroupsFile[] = "groups.bin";

  [[nodiscard]] std::string AccuracyName() const { return rewards_.specs[rewards_.accuracy()].name(); }

  Status Prepare() {
    const bool with_reference = rl_.kl() > 0;
    AHA_ASSIGN(model_, LoadModel(io_.init, with_reference ? Use::kTrainingWithReference : Use::kTraining));
    if (with_reference) reference_ = model_->weights.Clone(policy::WeightsUse::kInference);
    learner_.emplace(model_->weights, *io_.cpu, LearnerOptionsOf(rl_));
    state_.emplace(io_.folder, *io_.cpu, model_->weights, learner_->optimizer(), reference_ ? &*reference_ : nullptr,
                   std::vector<std::string>{kGroupsFile, kMetricsFile, kEventFile});
    AHA_ASSIGN(questions_, QuestionSource::Make(rl_.prompts(), Split::kTrain, io_.recipe->seed(), io_.stage->name(), io_.recipe_folder, io_.init));
    AHA_ASSIGN(scorer_, Scorer::StartFor(*io_.registry, *io_.recipe, io_.recipe_folder));
    AHA_ASSIGN(sampler_, MakeSampler(io_, *model_, std::chrono::seconds(rl_.rollout_timeout_s())));
    return {};
  }

  Result<std::vector<ScoredGroup>> Sample(std::uint64_t step) {
    std::vector<Question> questions;
    for (std::uint64_t p = 0; p < rl_.prompts_per_step(); ++p) {
      AHA_ASSIGN(questions.emplace_back(), questions_->At(step * rl_.prompts_per_step() + p));
    }
    plan_.weights_version = step;
    AHA_TRY(sampler_->Publish(model_->weights, step));
    const Experience experience{sampler_.get(), scorer_.get(), &model_->tokenizer, &questions_->prompt_template(), model_->stop_ids};
    const auto start = Clock::now();
    AHA_ASSIGN(std::vector<ScoredGroup> groups, SampleAndScore(experience, questions, plan_, rewards_));
    for (ScoredGroup& group : groups) group.record.set_step(step + 1);
    sample_seconds_ = SecondsSince(start);
    return groups;
  }

  Result<std::vector<Metric>> Learn(std::uint64_t step, std::vector<ScoredGroup>& groups) {
    const auto start = Clock::now();
    const std::vector<grpo::Sample> samples = MakeSamples(groups, ScaleOf(rl_));
    if (samples.empty()) {
      return Fail(Code::kInternal, "step {}: no sample of {} groups has a reward; the first failure: {}", step + 1, groups.size(),
                  FirstFailure(groups));
    }
    const double rate = schedule_.At(static_cast<std::int64_t>(step));
    AHA_ASSIGN(const grpo::LearnReport learned, learner_->Step(samples, reference_ ? &*reference_ : nullptr, rate));
    if (reference_ && rl_.reference_every() > 0 && (step + 1) % rl_.reference_every() == 0) reference_->CopyFrom(model_->weights);
    std::vector<Metric> metrics = Summarise(groups, rewards_);
    AddLearnMetrics(learned, rate, sample_seconds_, SecondsSince(start), metrics);
    return metrics;
  }

  static std::string FirstFailure(const std::vector<ScoredGroup>& groups) {
    for (const ScoredGroup& group : groups) {
      for (const proto::SampleRecord& sample : group.record.sample()) {
        for (int c = 0; c < sample.outcome_size(); ++c) {
          if (!sample.outcome(c).has_failure()) continue;
          const proto::Failure& failure = sample.outcome(c).failure();
          return fmt::format("{}: {}: {}", group.record.reward(c), proto::Failure::Kind_Name(failure.kind()), failure.detail());
        }
      }
    }
    return "none recorded";
  }

  const StageIo& io_;
  const proto::Rl& rl_;
  RewardPlan rewards_;
  SamplePlan plan_;
  policy::Schedule schedule_;
  std::optional<Model> model_;
  std::optional<policy::Weights> reference_;
  std::optional<grpo::Learner> learner_;
  std::optional<TrainingState> state_;
  std::optional<QuestionSource> questions_;
  std::unique_ptr<Scorer> scorer_;
  std::unique_ptr<Sampler> sampler_;
  double sample_seconds_ = 0;
};

}  // namespace

Result<StageReport> RunRl(const StageIo& io) { return RlStage(io).Run(); }

}  // namespace aha::pipelines
