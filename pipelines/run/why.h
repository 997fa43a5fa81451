#pragma once
/// Where a sample came from (law 9): groups of a run's groups.bin, found by address.

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "proto/records.pb.h"

namespace aha::pipelines {

/// STAGE[/STEP[/GROUP[/SAMPLE]]]: steps as in metrics.jsonl, groups in the order of their prompts
/// in the step, samples in the group, both from 0.
struct SampleAddress {
  std::string stage;
  std::optional<std::uint64_t> step;
  std::optional<std::uint64_t> group;
  std::optional<std::uint64_t> sample;
};

/// kInvalidArgument when the text is no address.
Result<SampleAddress> ParseSampleAddress(std::string_view text);

/// Samples that a step sampled, for a list of steps.
struct StepOfGroups {
  std::uint64_t step = 0;
  std::uint64_t groups = 0;
  std::uint64_t samples = 0;
  std::uint64_t failed = 0;  ///< samples without a total
  double mean_total = 0;     ///< over samples that have one; NaN when none has
};

/// The stages of `run` that have a groups.bin, by name. kNotFound when `run` is no run directory.
Result<std::vector<std::string>> StagesWithGroups(const std::filesystem::path& run);

/// The steps in a stage's groups.bin. kNotFound when there is no such stage or it samples nothing
/// (the message lists those that do); kCorrupt when the file is damaged. A tail cut off by a crash
/// is not an error: what comes before it is returned.
Result<std::vector<StepOfGroups>> StepsOfGroups(const std::filesystem::path& run,
                                                const std::string& stage);

/// The groups of one step, in order; memory is that of the step. kNotFound, naming the steps that
/// exist, when the stage has no such step.
Result<std::vector<proto::GroupRecord>> GroupsOfStep(const std::filesystem::path& run,
                                                     const std::string& stage,
                                                     std::uint64_t step);

}  // namespace aha::pipelines
