// Supervised fine-tuning on what reject stages kept, or on people's own questions and answers.

#include <algorithm>
#include <cmath>

#include "base/log.h"
#include "pipelines/data/jsonl.h"
#include "pipelines/model/model_folder.h"
#include "pipelines/run/progress.h"
#include "pipelines/sampling/question_source.h"
#include "pipelines/stages/examples.h"
#include "pipelines/stages/stage.h"
#include "pipelines/stages/trainer_options.h"
#include "pipelines/stages/training_state.h"
#include "sft/chat_template.h"
#include "sft/trainer.h"

namespace aha::pipelines {
namespace {

class SftStage {
 public:
  explicit SftStage(const StageIo& io) : io_(io), recipe_(io.stage->sft()) {}

  Result<StageReport> Run() {
    AHA_TRY(Prepare());
    AHA_ASSIGN(std::uint64_t step, state_->Resume());
    AHA_ASSIGN(MetricsWriter metrics_file, MetricsWriter::Open(io_.folder));
    const std::uint64_t steps = Steps();
    const policy::Schedule schedule =
        ScheduleOf(recipe_.optimizer(), static_cast<std::int64_t>(steps));
    Progress progress(steps, io_.stage->name(), step);
    StageReport report;
    for (; step < steps; ++step) {
      const double rate = schedule.At(static_cast<std::int64_t>(step));
      const auto stepped = trainer_->Step(BatchOf(step), rate);
      if (!stepped) return tl::unexpected<Error>(state_->AtStep(step, stepped.error(), io_.init));
      const sft::TrainReport& trained = *stepped;
      report.metrics = {{"loss", trained.loss},
                        {"mtp_loss", trained.mtp_loss},
                        {"tokens", static_cast<double>(trained.tokens)},
                        {"gradient_norm", trained.update.gradient_norm},
                        {"expert_load_max_violation", trained.update.max_violation},
                        {"learning_rate", rate},
                        {"examples", static_cast<double>(examples_.size())},
                        {"too_long", static_cast<double>(too_long_)}};
      AHA_TRY(metrics_file.Write(step + 1, report.metrics));
      if (step + 1 == steps || (step + 1) % recipe_.commit_every() == 0) {
        const Status committed = state_->Commit(step + 1);
        if (!committed)
          return tl::unexpected<Error>(state_->AtStep(step, committed.error(), io_.init));
      }
      progress.Advance(1, fmt::format("loss {:.4f}", trained.loss));
    }
    report.checkpoint = io_.folder / "checkpoint";
    AHA_TRY(SaveModel(model_->weights, io_.init, report.checkpoint));
    return report;
  }

 private:
  Status Prepare() {
    const sft::TrainerOptions options = TrainerOptionsOf(recipe_);
    AHA_ASSIGN(model_, LoadModel(io_.init, Use::kTraining, {},
                                 {options.micro_batch_tokens, options.adamw.moments}));
    AHA_TRY(LoadExamples());
    trainer_.emplace(model_->weights, *io_.cpu, options);
    state_.emplace(io_.folder, *io_.cpu, model_->weights, trainer_->optimizer(), nullptr,
                   std::vector<std::string>{kMetricsFile, kEventFile});
    return {};
  }

  Status LoadExamples() {
    AHA_ASSIGN(const sft::ChatTemplate prompt_template,
               sft::ChooseChatTemplate(recipe_.template_(), io_.init));
    stop_id_ = model_->stop_id();
    if (!prompt_template.stop.empty())
      stop_id_ = model_->tokenizer.IdOf(prompt_template.stop).value_or(stop_id_);
    if (recipe_.has_jsonl()) {
      AHA_ASSIGN(const std::vector<JsonlRow> rows, ReadJsonl(recipe_.jsonl(), io_.recipe_folder));
      for (const JsonlRow& row : rows)
        AHA_TRY(
            AddExample(prompt_template.Apply(row.question), OwnPart(prompt_template, row.answer)));
    }
    for (const std::string& from : recipe_.from()) {
      const std::filesystem::path file = io_.stages.at(from) / "data" / kExamplesFile;
      AHA_ASSIGN(const std::vector<TrainingExample> examples, ReadExamples(file));
      for (const TrainingExample& e : examples)
        AHA_TRY(
            AddExample(prompt_template.Apply(e.question), OwnPart(prompt_template, e.completion)));
    }
    if (examples_.empty()) {
      return Fail(Code::kInvalidArgument,
                  "there is no example to train on ({} were longer than max_tokens {})", too_long_,
                  recipe_.max_tokens());
    }
    if (too_long_ > 0)
      spdlog::warn("{}: {} examples longer than {} tokens are left out", io_.stage->name(),
                   too_long_, recipe_.max_tokens());
    return {};
  }

  // The part of an answer that the prompt has not begun already.
  static std::string OwnPart(const sft::ChatTemplate& prompt_template, const std::string& answer) {
    const std::string& begun = prompt_template.opens_answer;
    return !begun.empty() && answer.starts_with(begun) ? answer.substr(begun.size()) : answer;
  }

  Status AddExample(const std::string& prompt, const std::string& completion) {
    sft::Example example;
    AHA_ASSIGN(example.ids, model_->tokenizer.Encode(prompt));
    example.loss_from = static_cast<std::int64_t>(example.ids.size());
    AHA_ASSIGN(const std::vector<std::int32_t> answer, model_->tokenizer.Encode(completion));
    example.ids.insert(example.ids.end(), answer.begin(), answer.end());
    if (stop_id_ >= 0) example.ids.push_back(stop_id_);
    const auto positions =
        static_cast<std::size_t>(model_->weights.config().max_position_embeddings);
    if (example.ids.size() > recipe_.max_tokens()) {
      ++too_long_;
    } else if (example.ids.size() > positions) {
      return Fail(Code::kInvalidArgument,
                  "example {} has {} tokens, the model takes {}; set max_tokens to {} to leave "
                  "such examples out",
                  examples_.size() + too_long_ + 1, example.ids.size(), positions, positions);
    } else if (example.ids.size() <=
               static_cast<std::size_t>(std::max<std::int64_t>(1, example.loss_from))) {
      return Fail(Code::kInvalidArgument,
                  "example {} has no token to learn: its answer is empty, and the model has no "
                  "token that ends one",
                  examples_.size() + too_long_ + 1);
    } else {
      examples_.push_back(std::move(example));
    }
    return {};
  }

  [[nodiscard]] std::uint64_t Steps() const {
    const double by_epochs =
        std::ceil(recipe_.epochs() * static_cast<double>(examples_.size()) / recipe_.batch());
    const auto steps = static_cast<std::uint64_t>(std::max(1.0, by_epochs));
    return recipe_.max_steps() > 0 ? std::min<std::uint64_t>(steps, recipe_.max_steps()) : steps;
  }

  // Examples step * batch ... of the epochs' shuffled orders, one after another.
  std::vector<sft::Example> BatchOf(std::uint64_t step) {
    std::vector<sft::Example> batch;
    for (std::uint64_t i = 0; i < recipe_.batch(); ++i) {
      const std::uint64_t k = step * recipe_.batch() + i;
      const std::uint64_t epoch = k / examples_.size();
      if (order_.empty() || epoch != epoch_) {
        order_ = ShuffledOrder(examples_.size(), epoch,
                               KeyedRandom(io_.recipe->seed(), "sft/" + io_.stage->name()));
        epoch_ = epoch;
      }
      batch.push_back(examples_[order_[k % examples_.size()]]);
    }
    return batch;
  }

  const StageIo& io_;
  const proto::Sft& recipe_;
  std::optional<Model> model_;
  std::optional<sft::Trainer> trainer_;
  std::optional<TrainingState> state_;
  std::vector<sft::Example> examples_;
  std::int32_t stop_id_ = -1;  // ends an answer; -1: nothing does
  std::uint64_t too_long_ = 0;
  std::vector<std::uint32_t> order_;
  std::uint64_t epoch_ = 0;
};

}  // namespace

Result<StageReport> RunSft(const StageIo& io) {
  return SftStage(io).Run();
}

}  // namespace aha::pipelines
