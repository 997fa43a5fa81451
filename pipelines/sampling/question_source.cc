#include "pipelines/sampling/question_source.h"

#include <numeric>

namespace aha::pipelines {

std::vector<std::uint32_t> ShuffledOrder(std::size_t count,
                                         std::uint64_t epoch,
                                         KeyedRandom random) {
  std::vector<std::uint32_t> order(count);
  std::iota(order.begin(), order.end(), 0U);
  random.With(epoch).Shuffle(std::span(order));
  return order;
}

Result<QuestionSource> QuestionSource::Make(const proto::Prompts& prompts,
                                            Split split,
                                            std::uint64_t seed,
                                            const std::string& stage,
                                            const std::filesystem::path& folder,
                                            const std::filesystem::path& model) {
  AHA_ASSIGN(sft::ChatTemplate prompt_template,
             sft::ChooseChatTemplate(prompts.template_(), model));
  QuestionSource source(KeyedRandom(seed, "prompts/" + stage), std::move(prompt_template));
  if (prompts.has_jsonl()) {
    AHA_ASSIGN(source.rows_, ReadJsonl(prompts.jsonl(), folder));
    source.language_ = prompts.jsonl().language();
  } else {
    AHA_ASSIGN(source.mixture_, Mixture::Make(prompts.task(), split));
  }
  return source;
}

Result<Question> QuestionSource::At(std::uint64_t k) const {
  Question question;
  question.visit = k;
  if (mixture_) {
    AHA_ASSIGN(Problem problem, mixture_->Draw(k, random_));
    question.id = problem.id;
    question.family = problem.family;
    question.band = problem.band;
    question.language = problem.language;
    question.question = problem.question;
    question.reference = problem.answer;
    question.problem = std::move(problem);
    return question;
  }
  const std::uint64_t epoch = k / rows_.size();
  if (order_.empty() || epoch != epoch_) {
    order_ = ShuffledOrder(rows_.size(), epoch, random_);
    epoch_ = epoch;
  }
  const JsonlRow& row = rows_[order_[k % rows_.size()]];
  question.id = row.line;
  question.family = "jsonl";
  question.language = language_;
  question.question = row.question;
  question.reference = row.reference;
  return question;
}

}  // namespace aha::pipelines
