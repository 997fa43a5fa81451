#pragma once
/// Who makes a stage's completions: the engine in this process, or workers of their own.

#include <functional>
#include <memory>
#include <vector>

#include "base/deadline.h"
#include "base/result.h"
#include "policy/model/weights.h"
#include "proto/rollout.pb.h"
#include "rollout/engine.h"

namespace aha::pipelines {

/// Runs units of work. A completion hangs on its key and the weights alone, so all samplers give
/// the same ones.
class Sampler {
 public:
  Sampler() = default;
  Sampler(const Sampler&) = delete;
  Sampler& operator=(const Sampler&) = delete;
  virtual ~Sampler() = default;

  /// Makes `weights` version `version` for the units to come.
  virtual Status Publish(const policy::Weights& weights, std::uint64_t version) = 0;
  /// Replies in the order of `units`. `on_unit` hears of each that is done.
  virtual Result<std::vector<proto::SampleReply>> Run(
      const std::vector<proto::SampleRequest>& units,
      const std::function<void()>& on_unit) = 0;
};

/// One engine in this process, on the weights themselves. Both are borrowed.
std::unique_ptr<Sampler> MakeLocalSampler(const policy::Weights& weights,
                                          const std::vector<std::int32_t>& stop_ids,
                                          const policy::cpu::Cpu& cpu);

}  // namespace aha::pipelines
