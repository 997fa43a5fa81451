#include "pipelines/sampling/sampler.h"

namespace aha::pipelines {
namespace {

class LocalSampler : public Sampler {
 public:
  LocalSampler(const policy::Weights& weights, const std::vector<std::int32_t>& stop_ids, const policy::cpu::Cpu& cpu)
      : engine_(weights, cpu, {.stop_ids = stop_ids}) {}

  Status Publish(const policy::Weights& /*weights*/, std::uint64_t /*version*/) override {
    return {};  // the engine reads the learner's own weights
  }

  Result<std::vector<proto::SampleReply>> Run(const std::vector<proto::SampleRequest>& units,
                                              const std::function<void()>& on_unit) override {
    rollout::UnitHooks hooks;
    if (on_unit) hooks.on_unit = [&](std::size_t) { on_unit(); };
    return engine_.RunAll(units, hooks);
  }

 private:
  rollout::Engine engine_;
};

}  // namespace

std::unique_ptr<Sampler> MakeLocalSampler(const policy::Weights& weights, const std::vector<std::int32_t>& stop_ids, const policy::cpu::Cpu& cpu) {
  return std::make_unique<LocalSampler>(weights, stop_ids, cpu);
}

}  // namespace aha::pipelines
