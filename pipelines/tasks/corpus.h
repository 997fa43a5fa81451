#pragma once
/// The corpus that a base model of the embedded world is pre-trained on: like the web's, a mixture
/// of blurted answers, worked steps in one language, the other or both, and tags in any state.

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "base/keyed_random.h"
#include "base/result.h"
#include "pipelines/tasks/mixture.h"
#include "pipelines/tasks/problem.h"
#include "proto/recipe.pb.h"

namespace aha::pipelines {

enum class DocumentKind : std::uint8_t {
  kBare,        ///< no steps: "<think></think><answer>6</answer>", "<answer>6</answer>" or "6"
  kStepsSame,   ///< steps in the question's language
  kStepsOther,  ///< steps in the other language
  kStepsMixed,  ///< each step in a language of its own
  kUntagged,    ///< steps and answer as plain text
};

struct Document {
  std::string prompt;
  std::string completion;
  DocumentKind kind = DocumentKind::kBare;
  bool broken = false;  ///< its tags were broken on purpose
  Problem problem;      ///< what it is about; its answer is the right one
};

/// What MakeDocument needs, checked.
class CorpusMaker {
 public:
  using PromptFunction = std::function<std::string(std::string_view question)>;

  /// `prompt` must be pure. kInvalidArgument when a share is outside [0, 1], the shares of the
  /// kinds exceed 1 together, or the tasks are refused by Mixture::Make. Training problems only.
  static Result<CorpusMaker> Make(const proto::Corpus& corpus,
                                  std::uint64_t seed,
                                  PromptFunction prompt);

 private:
  friend Result<Document> MakeDocument(const CorpusMaker& maker, std::uint64_t k);
  CorpusMaker(proto::Corpus shares, Mixture mixture, std::uint64_t seed, PromptFunction prompt);

  [[nodiscard]] DocumentKind DrawKind(DrawSequence& draw) const;
  [[nodiscard]] DocumentKind DrawLanguageKind(DrawSequence& draw) const;
  void WriteBare(Document& document, KeyedRandom random) const;
  void WriteSteps(Document& document, KeyedRandom random) const;

  proto::Corpus shares_;
  Mixture mixture_;
  KeyedRandom random_;
  PromptFunction prompt_;
};

/// Document number `k`: a pure function of the maker and k. Half of the bare ones have an empty
/// think block, a quarter answer tags alone, a quarter no tags. Untagged ones share out their
/// language as the tagged ones do. kExhausted as MakeProblem.
Result<Document> MakeDocument(const CorpusMaker& maker, std::uint64_t k);

}  // namespace aha::pipelines
