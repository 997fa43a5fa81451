// Reinforcement learning: sample groups, score them over ZeroMQ, update with GRPO, step after step.

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>

#include "base/log.h"
#include "pipelines/model/model_folder.h"
#include "pipelines/run/alarms.h"
#include "pipelines/run/append_file.h"
#include "pipelines/run/delimited.h"
#include "pipelines/run/metrics_writer.h"
#include "pipelines/run/progress.h"
#include "pipelines/sampling/scored_group.h"
#include "pipelines/stages/rl_objective.h"
#include "pipelines/stages/stage.h"
#include "pipelines/stages/step_rewards.h"
#include "pipelines/stages/training_state.h"

namespace aha::pipelines {
namespace {

using Clock = std::chrono::steady_clock;

double SecondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
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

void AddLearnMetrics(const grpo::LearnReport& report,
                     std::size_t samples,
                     double rate,
                     double sample_seconds,
                     double learn_seconds,
                     std::vector<Metric>& metrics) {
  // A step without a token to learn from has no entropy and no ratio; 0 would be a figure.
  const auto of = [&](double value) {
    return report.tokens > 0 ? value : std::numeric_limits<double>::quiet_NaN();
  };
  metrics.insert(
      metrics.end(),
      {{"loss", report.loss},
       {"entropy", of(report.entropy)},
       {"kl", of(report.kl)},
       {"kl_k1", of(report.kl_k1)},
       {"kl_k2", of(report.kl_k2)},
       {"clip_fraction", of(report.clip_fraction)},
       {"clip_fraction/low", of(report.clip_low)},
       {"clip_fraction/high", of(report.clip_high)},
       {"clip_fraction/dual", of(report.clip_dual)},
       {"ratio_mean", of(report.ratio_mean)},
       {"ratio_max", of(report.ratio_max)},
       {"off_policy_weight", of(report.off_policy_weight)},
       {"off_policy_cut", of(report.off_policy_cut)},
       {"samples/busy", static_cast<double>(samples) - static_cast<double>(report.idle_samples)},
       {"samples/idle", static_cast<double>(report.idle_samples)},
       {"samples/masked", static_cast<double>(report.masked_samples)},
       {"samples/dropped", static_cast<double>(report.dropped_samples)},
       {"rollout_logprob_difference", of(report.rollout_difference)},
       {"gradient_norm", of(report.update.gradient_norm)},
       {"expert_load_max_violation", of(report.update.max_violation)},
       {"expert_load/busiest_share", of(report.update.health.busiest_share)},
       {"expert_load/idlest_share", of(report.update.health.idlest_share)},
       {"expert_load/dead_experts", of(static_cast<double>(report.update.health.dead))},
       {"expert_load/entropy", of(report.update.health.entropy)},
       {"learning_rate", rate},
       {"seconds/sample_and_score", sample_seconds},
       {"seconds/learn", learn_seconds}});
}

// One RL stage while it runs.
class RlStage {
 public:
  explicit RlStage(const StageIo& io)
      : io_(io),
        rl_(io.stage->rl()),
        rewards_(RewardsOf(rl_)),
        plan_(SamplePlanOf(io, rl_)),
        schedule_(ScheduleOf(rl_.optimizer(), rl_.steps())),
        alarms_(rl_.alarms()) {}

  Result<StageReport> Run() {
    AHA_TRY(Prepare());
    AHA_ASSIGN(std::uint64_t step, state_->Resume());
    AHA_TRY(GoOn(step));
    AHA_ASSIGN(AppendFile groups_file, AppendFile::Open(io_.folder / kGroupsFile));
    AHA_ASSIGN(MetricsWriter metrics_file, MetricsWriter::Open(io_.folder));
    Progress progress(rl_.steps(), io_.stage->name(), step);
    StageReport report;
    for (; step < rl_.steps(); ++step) {
      auto sampled = Sample(step);
      if (!sampled) return tl::unexpected<Error>(state_->AtStep(step, sampled.error(), io_.init));
      std::vector<ScoredGroup> groups = *std::move(sampled);
      auto learned = Learn(step, groups);
      if (!learned) return tl::unexpected<Error>(state_->AtStep(step, learned.error(), io_.init));
      report.metrics = *std::move(learned);
      for (const ScoredGroup& group : groups) {
        AHA_ASSIGN(const std::string bytes, Delimited(group.record));
        AHA_TRY(groups_file.Append(bytes));
      }
      const Status alarmed = Watch(step, report.metrics);
      AHA_TRY(metrics_file.Write(step + 1, report.metrics));
      AHA_TRY(alarmed);
      if ((step + 1) % rl_.commit_every() == 0 || step + 1 == rl_.steps()) {
        const Status committed = state_->Commit(step + 1);
        if (!committed)
          return tl::unexpected<Error>(state_->AtStep(step, committed.error(), io_.init));
      }
      progress.Advance(
          1, fmt::format("reward {:.3f}  {} {:.3f}", ValueOf(report.metrics, "reward"),
                         AccuracyName(), ValueOf(report.metrics, "reward/" + AccuracyName())));
    }
    report.checkpoint = io_.folder / "checkpoint";
    AHA_TRY(SaveModel(model_->weights, io_.init, report.checkpoint));
    return report;
  }

 private:
  static constexpr char kGroupsFile[] = "groups.bin";

  [[nodiscard]] std::string AccuracyName() const {
    return rewards_.specs[rewards_.accuracy()].name();
  }

  Status Prepare() {
    const bool with_reference = rl_.kl() > 0;
    const grpo::LearnerOptions options = LearnerOptionsOf(rl_);
    AHA_ASSIGN(model_,
               LoadModel(io_.init, with_reference ? Use::kTrainingWithReference : Use::kTraining,
                         {}, {options.micro_batch_tokens, options.adamw.moments}));
    if (with_reference) reference_ = model_->weights.Clone(policy::WeightsUse::kInference);
    learner_.emplace(model_->weights, *io_.cpu, options);
    state_.emplace(io_.folder, *io_.cpu, model_->weights, learner_->optimizer(),
                   reference_ ? &*reference_ : nullptr,
                   std::vector<std::string>{kGroupsFile, kMetricsFile, kEventFile});
    AHA_ASSIGN(questions_, QuestionSource::Make(rl_.prompts(), Split::kTrain, io_.recipe->seed(),
                                                io_.stage->name(), io_.recipe_folder, io_.init));
    AHA_ASSIGN(scorer_, Scorer::StartFor(*io_.registry, *io_.recipe, io_.recipe_folder));
    AHA_ASSIGN(sampler_, MakeSampler(io_, *model_, std::chrono::seconds(rl_.rollout_timeout_s())));
    return {};
  }

  // What follows from the steps finished before a restart: how many questions have been asked,
  // which with refill groups.bin alone knows, and what alarms compare with.
  Status GoOn(std::uint64_t step) {
    asked_ = step * rl_.prompts_per_step();
    if (step == 0) return {};
    if (rl_.group_filter() == "refill") {
      asked_ = 0;
      AHA_ASSIGN(DelimitedReader groups, DelimitedReader::Open(io_.folder / kGroupsFile));
      for (proto::GroupRecord record;; ++asked_) {
        AHA_ASSIGN(const bool more, groups.Next(record));
        if (!more) break;
      }
    }
    AHA_ASSIGN(const auto lines, ReadMetrics(io_.folder));
    for (const MetricsOfStep& line : lines)
      alarms_.Observe(line.step, line.metrics);
    return {};
  }

  // Samples a step's groups; with refill again and again, as many prompts as groups lack a signal.
  Result<std::vector<ScoredGroup>> Sample(std::uint64_t step) {
    plan_.weights_version = step;
    AHA_TRY(sampler_->Publish(model_->weights, step));
    const auto start = Clock::now();
    std::vector<ScoredGroup> groups;
    const bool refill = rl_.group_filter() == "refill";
    std::uint64_t missing = rl_.prompts_per_step();
    for (rounds_ = 1;; ++rounds_) {
      AHA_ASSIGN(std::vector<ScoredGroup> more, SampleGroups(missing));
      for (ScoredGroup& group : more) {
        group.record.set_step(step + 1);
        if (HasSignal(rl_, group.record)) --missing;
        groups.push_back(std::move(group));
      }
      if (!refill || missing == 0 || rounds_ >= rl_.refill_limit()) break;
    }
    sample_seconds_ = SecondsSince(start);
    return groups;
  }

  Result<std::vector<ScoredGroup>> SampleGroups(std::uint64_t count) {
    std::vector<Question> questions;
    for (std::uint64_t p = 0; p < count; ++p) {
      AHA_ASSIGN(questions.emplace_back(), questions_->At(asked_++));
    }
    const Experience experience{sampler_.get(), scorer_.get(), &model_->tokenizer,
                                &questions_->prompt_template(), model_->stop_ids};
    return SampleAndScore(experience, questions, plan_, rewards_);
  }

  Result<std::vector<Metric>> Learn(std::uint64_t step, std::vector<ScoredGroup>& groups) {
    const auto start = Clock::now();
    AHA_ASSIGN(const std::vector<grpo::Sample> samples,
               MakeSamples(rl_, groups, [&](const std::vector<grpo::Sample>& of) {
                 return learner_->KlPenalties(of, *reference_, KlEstimateOf(rl_));
               }));
    std::vector<Metric> metrics = Summarise(groups, rewards_);
    for (Metric& metric : metrics) {
      if (metric.name == "groups_without_signal") metric.value = ShareWithoutSignal(rl_, groups);
    }
    if (std::isnan(ValueOf(metrics, "reward"))) {
      return Fail(Code::kInternal, "no sample of {} groups has a reward; the first failure: {}",
                  groups.size(), FirstFailure(groups));
    }
    const double rate = schedule_.At(static_cast<std::int64_t>(step));
    AHA_ASSIGN(const grpo::LearnReport learned,
               learner_->Step(samples, reference_ ? &*reference_ : nullptr, rate));
    not_finite_ = learned.not_finite;
    if (reference_ && rl_.reference_every() > 0 && (step + 1) % rl_.reference_every() == 0)
      reference_->CopyFrom(model_->weights);
    metrics.push_back({"groups_sampled", static_cast<double>(groups.size())});
    metrics.push_back({"sampling_rounds", static_cast<double>(rounds_)});
    AddLearnMetrics(learned, samples.size(), rate, sample_seconds_, SecondsSince(start), metrics);
    return metrics;
  }

  // Alarms into the step's metrics, and as they set in to the log. One that stops is an error.
  Status Watch(std::uint64_t step, std::vector<Metric>& metrics) {
    std::vector<Alarm> alarms = alarms_.Observe(step + 1, metrics);
    if (!not_finite_.empty()) alarms.push_back(alarms_.NotFinite(step + 1, not_finite_));
    Status status;
    for (const Alarm& alarm : alarms) {
      metrics.push_back({"alarm/" + alarm.name, alarm.value});
      if (alarm.stop && status) {
        status =
            Fail(Code::kInternal,
                 "{}. Stopped because the recipe says {}: \"stop\"; the last good checkpoint: {}",
                 alarm.message, alarm.name, state_->LastGood(io_.init));
      } else if (alarm.onset) {
        spdlog::warn("{}: {}", io_.stage->name(), alarm.message);
      }
    }
    return status;
  }

  static std::string FirstFailure(const std::vector<ScoredGroup>& groups) {
    for (const ScoredGroup& group : groups) {
      for (const proto::SampleRecord& sample : group.record.sample()) {
        for (int c = 0; c < sample.outcome_size(); ++c) {
          if (!sample.outcome(c).has_failure()) continue;
          const proto::Failure& failure = sample.outcome(c).failure();
          return fmt::format("{}: {}: {}", group.record.reward(c),
                             proto::Failure::Kind_Name(failure.kind()), failure.detail());
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
  Alarms alarms_;
  std::uint64_t asked_ = 0;   // questions
  std::uint64_t rounds_ = 1;  // of sampling, in this step
  std::string not_finite_;    // of this step
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

Result<StageReport> RunRl(const StageIo& io) {
  return RlStage(io).Run();
}

}  // namespace aha::pipelines
