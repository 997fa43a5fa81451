#pragma once
/// Completions by rollout workers, processes of their own.

#include <chrono>
#include <filesystem>
#include <memory>

#include "pipelines/sampling/sampler.h"
#include "rollout/coordinator.h"

namespace aha::pipelines {

struct RemoteSamplerOptions {
  /// Where weights are published, as version-N folders; the last two are kept, and none is left
  /// when the sampler is gone.
  std::filesystem::path weights;
  std::filesystem::path tokenizer_from;  ///< a model folder: what is published is a whole one
  std::chrono::seconds unit_timeout{600};
};

/// A sampler over `coordinator`, which is borrowed.
std::unique_ptr<Sampler> MakeRemoteSampler(rollout::Coordinator& coordinator,
                                           RemoteSamplerOptions options);

}  // namespace aha::pipelines
