#include "pipelines/sampling/sampler.h"

namespace aha::pipelines {
namespace {

class LocalSampler : public Sampler {
 public:
  LocalSampler(const policy::Weights& weights,
               const std::vector<std::int32_t>& stop_ids,
               const policy::cpu::Cpu& cpu)
      : weights_(weights), stop_ids_(stop_ids), cpu_(cpu) {}

  Status Publish(const policy::Weights& /*weights*/, std::uint64_t /*version*/) override {
    return {};  // the engine reads the learner's own weights
  }

  Result<std::vector<proto::SampleReply>> Run(const std::vector<proto::SampleRequest>& units,
                                              const std::function<void()>& on_unit) override {
    rollout::UnitHooks hooks;
    if (on_unit) hooks.on_unit = [&](std::size_t) { on_unit(); };
    // For one step's samples: its cache is memory that learning wants next.
    rollout::Engine engine(weights_, cpu_, {.stop_ids = stop_ids_});
    return engine.RunAll(units, hooks);
  }

 private:
  const policy::Weights& weights_;
  std::vector<std::int32_t> stop_ids_;
  const policy::cpu::Cpu& cpu_;
};

}  // namespace

std::unique_ptr<Sampler> MakeLocalSampler(const policy::Weights& weights,
                                          const std::vector<std::int32_t>& stop_ids,
                                          const policy::cpu::Cpu& cpu) {
  return std::make_unique<LocalSampler>(weights, stop_ids, cpu);
}

}  // namespace aha::pipelines
