#include "pipelines/sampling/sampler.h"

namespace aha::pipelines {
namespace {

class LocalSampler : public Sampler {
 public:
  LocalSampler(const policy::Policy& policy, std::int32_t stop_id) : engine_(policy, {.stop_id = stop_id}) {}

  Status Publish(const policy::Policy& /*policy*/, std::uint64_t /*version*/) override {
    return {};  // the engine reads the learner's own weights
  }

  Result<std::vector<proto::SampleReply>> Run(const std::vector<proto::SampleRequest>& units,
                                              const std::function<void()>& on_unit) override {
    std::vector<proto::SampleReply> replies;
    for (const proto::SampleRequest& unit : units) {
      AHA_ASSIGN(replies.emplace_back(), engine_.Run(unit));
      if (on_unit) on_unit();
    }
    return replies;
  }

 private:
  rollout::Engine engine_;
};

}  // namespace

std::unique_ptr<Sampler> MakeLocalSampler(const policy::Policy& policy, std::int32_t stop_id) {
  return std::make_unique<LocalSampler>(policy, stop_id);
}

}  // namespace aha::pipelines
