#pragma once
/// What a reject stage makes and an SFT stage trains on: DATA/examples.jsonl, one JSON object a
/// line.

#include <filesystem>
#include <string>
#include <vector>

#include "base/result.h"

namespace aha::pipelines {

struct TrainingExample {
  std::string question;
  std::string completion;  ///< without the end-of-sequence token
  std::string language;
  std::string family;
  std::string source;  ///< "policy": sampled; "solver": written by the task's solver; "general"
};

inline constexpr char kExamplesFile[] = "examples.jsonl";

Status WriteExamples(const std::filesystem::path& file,
                     const std::vector<TrainingExample>& examples);
/// kCorrupt, as "file:line: ...", for a line that is not such an object.
Result<std::vector<TrainingExample>> ReadExamples(const std::filesystem::path& file);

}  // namespace aha::pipelines
