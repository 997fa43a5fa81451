// Rejection sampling: sample a policy, keep what passes, join general data; the data of an SFT
// stage.

#include <algorithm>
#include <map>

#include <nlohmann/json.hpp>

#include "base/content_hash.h"
#include "base/log.h"
#include "base/whole_file.h"
#include "pipelines/model/model_folder.h"
#include "pipelines/run/append_file.h"
#include "pipelines/run/delimited.h"
#include "pipelines/run/progress.h"
#include "pipelines/sampling/scored_group.h"
#include "pipelines/stages/examples.h"
#include "pipelines/stages/stage.h"
#include "pipelines/tasks/solver.h"

namespace aha::pipelines {
namespace {

namespace fs = std::filesystem;

// Whether a sample passes every filter. A failed verifier keeps nothing (law 5).
bool Passes(const proto::Reject& reject, const proto::SampleRecord& sample) {
  if (sample.completion().finish() != proto::FINISH_STOP) return false;
  const auto tokens = static_cast<std::uint32_t>(sample.completion().ids_size());
  if (reject.max_keep_tokens() > 0 && tokens > reject.max_keep_tokens()) return false;
  for (int k = 0; k < reject.keep_size(); ++k) {
    const proto::Outcome& outcome = sample.outcome(k);
    if (!outcome.has_score() || outcome.score() < reject.keep(k).min_score()) return false;
  }
  return true;
}

// Prompts asked, prompts with a kept sample, examples by source; a language each.
struct Tally {
  std::uint64_t prompts = 0;
  std::uint64_t answered = 0;
  std::map<std::string, std::uint64_t> examples;
};

class RejectStage {
 public:
  explicit RejectStage(const StageIo& io) : io_(io), recipe_(io.stage->reject()) {}

  Result<StageReport> Run() {
    // Nothing is carried over from a cut run: every draw has its key, so the samples are the same.
    std::error_code ignored;
    fs::create_directories(io_.folder, ignored);
    fs::remove(io_.folder / "groups.bin", ignored);
    AHA_ASSIGN(const std::vector<ScoredGroup> groups, SampleAll());
    std::vector<const ScoredGroup*> unanswered;
    for (const ScoredGroup& group : groups) {
      Tally& tally = tallies_[group.question.language];
      ++tally.prompts;
      if (TakeKept(group)) {
        ++tally.answered;
      } else {
        unanswered.push_back(&group);
      }
    }
    AskSolver(unanswered);
    if (recipe_.max_examples() > 0 && examples_.size() > recipe_.max_examples())
      examples_.resize(recipe_.max_examples());
    AHA_TRY(AddGeneral());
    if (examples_.empty()) {
      return Fail(Code::kInvalidArgument,
                  "stage {}: none of {} samples passed the filters, and solver_below is {}",
                  io_.stage->name(), recipe_.prompt_count() * recipe_.samples(),
                  recipe_.solver_below());
    }
    return Publish();
  }

 private:
  Result<std::vector<ScoredGroup>> SampleAll() {
    AHA_ASSIGN(const Model model, LoadModel(io_.init, Use::kInference));
    AHA_ASSIGN(const QuestionSource source,
               QuestionSource::Make(recipe_.prompts(), Split::kTrain, io_.recipe->seed(),
                                    io_.stage->name(), io_.recipe_folder, io_.init));
    AHA_ASSIGN(const std::unique_ptr<Scorer> scorer,
               Scorer::StartFor(*io_.registry, *io_.recipe, io_.recipe_folder));
    AHA_ASSIGN(const std::unique_ptr<Sampler> sampler,
               MakeSampler(io_, model, std::chrono::seconds(recipe_.rollout_timeout_s())));
    RewardPlan rewards;
    for (const proto::Keep& keep : recipe_.keep())
      rewards.Add(keep.reward(), 0, keep.config());
    SamplePlan plan;
    plan.seed = io_.recipe->seed();
    plan.stage = io_.stage->name();
    plan.samples = recipe_.samples();
    plan.prompts_per_unit = recipe_.prompts_per_unit();
    plan.sampling.set_temperature(static_cast<float>(recipe_.temperature()));
    plan.sampling.set_max_new_tokens(recipe_.max_new_tokens());
    plan.reward_timeout = std::chrono::seconds(recipe_.reward_timeout_s());
    std::vector<Question> questions;
    for (std::uint64_t k = 0; k < recipe_.prompt_count(); ++k) {
      AHA_ASSIGN(questions.emplace_back(), source.At(k));
    }
    Progress progress(UnitCount(questions.size(), plan.prompts_per_unit),
                      io_.stage->name() + " (units)");
    AHA_TRY(sampler->Publish(model.weights, plan.weights_version));
    const Experience experience{sampler.get(), scorer.get(), &model.tokenizer,
                                &source.prompt_template(), model.stop_ids};
    AHA_ASSIGN(std::vector<ScoredGroup> groups,
               SampleAndScore(experience, questions, plan, rewards, [&] { progress.Advance(1); }));
    AHA_ASSIGN(AppendFile file, AppendFile::Open(io_.folder / "groups.bin"));
    for (const ScoredGroup& group : groups) {
      AHA_ASSIGN(const std::string bytes, Delimited(group.record));
      AHA_TRY(file.Append(bytes));
    }
    return groups;
  }

  void AddExample(const Question& question, std::string completion, const std::string& source) {
    examples_.push_back(
        {question.question, std::move(completion), question.language, question.family, source});
    ++tallies_[question.language].examples[source];
  }

  bool TakeKept(const ScoredGroup& group) {
    std::uint32_t kept = 0;
    for (const proto::SampleRecord& sample : group.record.sample()) {
      if (kept == recipe_.keep_per_prompt()) break;
      if (!Passes(recipe_, sample)) continue;
      AddExample(group.question, sample.completion().text(), "policy");
      ++kept;
    }
    return kept > 0;
  }

  // Where the policy offers too little of a language, the solver works those prompts out instead.
  void AskSolver(const std::vector<const ScoredGroup*>& unanswered) {
    const KeyedRandom random(io_.recipe->seed(), "solver/" + io_.stage->name());
    for (const ScoredGroup* group : unanswered) {
      const Tally& tally = tallies_[group->question.language];
      const double share = static_cast<double>(tally.answered) / static_cast<double>(tally.prompts);
      if (share >= recipe_.solver_below() || !group->question.problem) continue;
      const ThoughtStyle style{ThoughtIn(group->question.language), 0};
      AddExample(
          group->question,
          WriteCompletion(*group->question.problem, style, random.With(group->question.visit)),
          "solver");
    }
  }

  Status AddGeneral() {
    if (recipe_.general_count() == 0) return {};
    proto::Prompts prompts;
    *prompts.mutable_task() = recipe_.general();
    prompts.set_template_("plain");  // questions alone are taken from it
    AHA_ASSIGN(const QuestionSource source,
               QuestionSource::Make(prompts, Split::kTrain, io_.recipe->seed(),
                                    io_.stage->name() + "/general", io_.recipe_folder, io_.init));
    const KeyedRandom random(io_.recipe->seed(), "general/" + io_.stage->name());
    for (std::uint64_t k = 0; k < recipe_.general_count(); ++k) {
      AHA_ASSIGN(const Question question, source.At(k));
      const ThoughtStyle style{ThoughtIn(question.language), 0};
      AddExample(question, WriteCompletion(*question.problem, style, random.With(k)), "general");
    }
    return {};
  }

  Result<StageReport> Publish() {
    nlohmann::ordered_json counts;
    StageReport report;
    std::map<std::string, std::uint64_t> by_source;
    for (const auto& [language, tally] : tallies_) {
      counts[language] = {{"prompts", tally.prompts},
                          {"answered_by_policy", tally.answered},
                          {"examples", tally.examples}};
      for (const auto& [source, count] : tally.examples)
        by_source[source] += count;
    }
    for (const auto& [source, count] : by_source)
      report.metrics.push_back({"examples/" + source, static_cast<double>(count)});
    report.metrics.push_back({"examples", static_cast<double>(examples_.size())});
    report.checkpoint = io_.folder / "data";
    AHA_TRY(WriteWholeFolder(report.checkpoint, [&](const fs::path& aside) -> Status {
      AHA_TRY(WriteExamples(aside / kExamplesFile, examples_));
      return WriteWholeFile(aside / "provenance.json", counts.dump(2) + "\n");
    }));
    return report;
  }

  const StageIo& io_;
  const proto::Reject& recipe_;
  std::vector<TrainingExample> examples_;
  std::map<std::string, Tally> tallies_;
};

}  // namespace

Result<StageReport> RunReject(const StageIo& io) {
  return RejectStage(io).Run();
}

}  // namespace aha::pipelines
