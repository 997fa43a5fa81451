#pragma once
/// One checkpoint measured for the report: trained bands, the hardest band and general tasks.

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "pipelines/evaluate.h"
#include "rewards/registry.h"

namespace aha::pipelines {

/// What a transcript needs of one sample.
struct SampleView {
  std::string question, reference, language, text, failure;
  double score = 0;  ///< meaningless with a failure
  bool well_formed = false;
  double language_share = 0;
};

struct Measured {
  std::string name;    ///< base, r1-zero, dev1, dev2, dev3, r1
  EvalReport trained;  ///< reasoning, bands 1 and 2
  EvalReport hardest;  ///< reasoning, band 3: never trained on
  EvalReport general;
  std::vector<SampleView> samples;  ///< first samples of the first trained-band problems
};

struct MeasurePlan {
  std::uint64_t trained_problems = 192;
  std::uint64_t hardest_problems = 96;
  std::uint64_t general_problems = 96;
  std::uint32_t samples = 8;
  std::uint32_t max_new_tokens = 160;
  std::uint64_t seed = 1;
  Split split = Split::kTest;
  int threads = 1;
};

/// Measures `checkpoint` on the same problems as every other one. What was measured before, of the
/// same weights with the same plan, is read from `cache` (a JSON file, written whole).
Result<Measured> MeasureStage(const std::string& name,
                              const std::filesystem::path& checkpoint,
                              const MeasurePlan& plan,
                              const rewards::Registry& registry,
                              const std::filesystem::path& cache);

/// What MeasureStage left in `cache`, whatever the plan was; nothing when there is none.
std::optional<Measured> ReadMeasured(const std::filesystem::path& cache);

}  // namespace aha::pipelines
