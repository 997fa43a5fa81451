#include "pipelines/sampling/sampler.h"

#include <mutex>

#include "base/parallel.h"

namespace aha::pipelines {
namespace {

class LocalSampler : public Sampler {
 public:
  LocalSampler(const policy::Policy& policy, const std::vector<std::int32_t>& stop_ids, int threads) {
    for (int t = 0; t < threads; ++t) {
      engines_.push_back(std::make_unique<rollout::Engine>(policy, rollout::EngineOptions{.stop_ids = stop_ids}));
    }
  }

  Status Publish(const policy::Policy& /*policy*/, std::uint64_t /*version*/) override {
    return {};  // the engines read the learner's own weights
  }

  Result<std::vector<proto::SampleReply>> Run(const std::vector<proto::SampleRequest>& units,
                                              const std::function<void()>& on_unit) override {
    std::vector<proto::SampleReply> replies(units.size());
    std::mutex mutex;  // on_unit is not for two threads at once
    AHA_TRY(RunParallel(static_cast<int>(engines_.size()), units.size(), [&](std::size_t u, int worker) -> Status {
      AHA_ASSIGN(replies[u], engines_[static_cast<std::size_t>(worker)]->Run(units[u]));
      const std::lock_guard lock(mutex);
      if (on_unit) on_unit();
      return {};
    }));
    return replies;
  }

 private:
  std::vector<std::unique_ptr<rollout::Engine>> engines_;
};

}  // namespace

std::unique_ptr<Sampler> MakeLocalSampler(const policy::Policy& policy, const std::vector<std::int32_t>& stop_ids, int threads) {
  return std::make_unique<LocalSampler>(policy, stop_ids, threads);
}

}  // namespace aha::pipelines
