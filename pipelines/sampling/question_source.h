#pragma once
/// Where a stage's questions come from: the embedded world's generators or people's own JSONL.

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/keyed_random.h"
#include "base/result.h"
#include "pipelines/data/jsonl.h"
#include "pipelines/tasks/mixture.h"
#include "proto/recipe.pb.h"
#include "sft/chat_template.h"

namespace aha::pipelines {

struct Question {
  std::uint64_t id = 0;     ///< of the prompt: part of every sample's key
  std::uint64_t visit = 0;  ///< number of the draw in the stage: part of the key as well
  std::string family;       ///< task family, or "jsonl"
  std::uint32_t band = 0;   ///< 0 where there are no bands
  std::string language;
  std::string question;
  std::string reference;
  std::optional<Problem> problem;  ///< a generated one: the solver can work it out
};

/// Questions by number. A generated one is drawn by its number; rows of a file come in an order
/// shuffled anew each time the file is used up. Belongs to one thread.
class QuestionSource {
 public:
  /// `stage` keys the draws, `folder` is what a file's path is relative to, `model` the model
  /// folder whose own chat template "auto" means.
  static Result<QuestionSource> Make(const proto::Prompts& prompts,
                                     Split split,
                                     std::uint64_t seed,
                                     const std::string& stage,
                                     const std::filesystem::path& folder,
                                     const std::filesystem::path& model);
  [[nodiscard]] Result<Question> At(std::uint64_t k) const;
  [[nodiscard]] const sft::ChatTemplate& prompt_template() const { return template_; }

 private:
  QuestionSource(KeyedRandom random, sft::ChatTemplate prompt_template)
      : random_(random), template_(std::move(prompt_template)) {}
  KeyedRandom random_;
  sft::ChatTemplate template_;
  std::optional<Mixture> mixture_;
  std::vector<JsonlRow> rows_;
  mutable std::vector<std::uint32_t> order_;  // of rows in the epoch asked for last
  mutable std::uint64_t epoch_ = 0;
  std::string language_;
};

/// A permutation of 0..count-1 for `epoch`, keyed.
std::vector<std::uint32_t> ShuffledOrder(std::size_t count,
                                         std::uint64_t epoch,
                                         KeyedRandom random);

}  // namespace aha::pipelines
