#pragma once
/// Questions in, scored groups of completions out: what RL, rejection sampling and evaluation
/// share.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "pipelines/run/event_file.h"
#include "pipelines/sampling/question_source.h"
#include "pipelines/sampling/sampler.h"
#include "pipelines/sampling/scorer.h"
#include "policy/tokenizer/tokenizer.h"
#include "proto/records.pb.h"

namespace aha::pipelines {

/// The components of a reward, in the recipe's order.
struct RewardPlan {
  std::vector<proto::RewardSpec> specs;
  std::vector<double> weights;

  void Add(const std::string& name, double weight, const std::string& config = "");
  /// Place of the component `name`; nothing when the plan lacks it.
  [[nodiscard]] std::optional<std::size_t> Find(std::string_view name) const;
  /// Place of the accuracy component: `math` or `exact`, else the first one.
  [[nodiscard]] std::size_t accuracy() const;
};

struct SamplePlan {
  std::uint64_t seed = 1;
  std::string stage;
  std::uint64_t weights_version = 0;
  std::uint32_t samples = 1;
  std::uint32_t prompts_per_unit = 24;
  proto::Sampling sampling;
  std::chrono::seconds reward_timeout{60};
};

/// A group's record together with what is derived from it.
struct ScoredGroup {
  Question question;
  proto::GroupRecord record;                  ///< as it goes to groups.bin
  std::vector<std::int64_t> thinking_tokens;  ///< one a sample: tokens inside the first think block
};

/// Everything that sampling and scoring need. All borrowed.
struct Experience {
  Sampler* sampler = nullptr;
  Scorer* scorer = nullptr;
  const policy::Tokenizer* tokenizer = nullptr;
  const sft::ChatTemplate* prompt_template = nullptr;
  std::vector<std::int32_t> stop_ids;  ///< any of them ends a completion
};

/// Samples `plan.samples` completions of each question and scores them. `on_unit` hears of each
/// unit of work sampled. A component that failed leaves the sample's total unset (law 5).
Result<std::vector<ScoredGroup>> SampleAndScore(const Experience& experience,
                                                const std::vector<Question>& questions,
                                                const SamplePlan& plan,
                                                const RewardPlan& rewards,
                                                const std::function<void()>& on_unit = {});

/// How many units SampleAndScore makes of so many questions.
std::uint64_t UnitCount(std::uint64_t questions, std::uint64_t prompts_per_unit);

/// Means over the samples of `groups`: reward, each component by name, failures, lengths, share of
/// samples cut by the length limit, share of groups whose rewards are all equal.
std::vector<Metric> Summarise(const std::vector<ScoredGroup>& groups, const RewardPlan& rewards);

/// The value of a metric; NaN when it is not there.
double ValueOf(const std::vector<Metric>& metrics, std::string_view name);

}  // namespace aha::pipelines
