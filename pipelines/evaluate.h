#pragma once
/// Evaluation on held-out problems: pass@1 as the mean of K samples, pass@K, and the majority's
/// answer (cons@K), with what the tags and the languages look like.

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/result.h"
#include "pipelines/sampling/scored_group.h"
#include "proto/recipe.pb.h"
#include "rewards/registry.h"

namespace aha::pipelines {

struct EvalSpec {
  proto::Prompts prompts;
  Split split = Split::kTest;
  std::uint64_t count = 200;  ///< problems
  std::uint32_t samples = 8;  ///< K
  double temperature = 1;
  double top_p = 1;
  std::uint32_t max_new_tokens = 128;
  std::uint64_t seed = 1;
  std::uint32_t prompts_per_unit = 32;
  int threads = 1;
  std::filesystem::path folder;  ///< what a file of questions is relative to
};

/// Means over problems; shares in [0, 1].
struct FamilyScore {
  std::string family;
  std::uint32_t band = 0;
  std::uint64_t n = 0;
  double pass_at_1 = 0;
};

struct EvalReport {
  std::uint64_t n = 0;
  double pass_at_1 = 0;
  double ci95 = 0;       ///< half-width of the 95 % interval of pass@1 over problems
  double pass_at_k = 0;  ///< problems that some sample solves
  double cons_at_k = 0;  ///< problems whose most frequent answer is right, ties to the earliest
  double well_formed = 0;
  double language = 0;
  double thinking_tokens = 0;
  double completion_tokens = 0;
  std::uint64_t failures = 0;  ///< outcomes without a score; they are in no mean
  std::vector<FamilyScore> families;
};

/// The named task's prompts: a family, "reasoning" (bands 1 and 2), "hardest" (reasoning, band 3),
/// "general", or a JSONL file with GSM8K's columns. kNotFound lists the names.
Result<proto::Prompts> TaskPrompts(const std::string& name);

/// Samples and scores; `groups`, if given, takes the scored groups.
Result<EvalReport> Evaluate(const std::filesystem::path& model_folder,
                            const EvalSpec& spec,
                            const rewards::Registry& registry,
                            std::vector<ScoredGroup>* groups = nullptr);

}  // namespace aha::pipelines
