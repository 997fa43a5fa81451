#include "pipelines/sampling/remote_sampler.h"

#include <deque>
#include <utility>

#include "base/content_hash.h"
#include "base/log.h"
#include "pipelines/model/model_folder.h"

namespace aha::pipelines {
namespace fs = std::filesystem;
namespace {

constexpr std::size_t kVersionsKept = 2;  // a worker may still be reading the one before

class RemoteSampler : public Sampler {
 public:
  RemoteSampler(rollout::Coordinator& coordinator, RemoteSamplerOptions options)
      : coordinator_(coordinator), options_(std::move(options)) {
    Remove(options_.weights);  // of a run that was cut
  }

  ~RemoteSampler() override {
    coordinator_.Withdraw();
    Remove(options_.weights);
  }

  Status Publish(const policy::Weights& weights, std::uint64_t version) override {
    const fs::path folder = fs::absolute(options_.weights) / fmt::format("version-{}", version);
    AHA_TRY(SaveModel(weights, options_.tokenizer_from, folder));
    proto::WeightsUpdate update;
    update.set_version(version);
    update.set_folder(folder.string());
    AHA_ASSIGN(*update.mutable_sha256(), HashFile(folder / "model.safetensors"));
    coordinator_.Publish(update);
    published_.push_back(folder);
    if (published_.size() > kVersionsKept) {
      Remove(published_.front());
      published_.pop_front();
    }
    return {};
  }

  Result<std::vector<proto::SampleReply>> Run(const std::vector<proto::SampleRequest>& units,
                                              const std::function<void()>& on_unit) override {
    return coordinator_.Run(units, options_.unit_timeout, on_unit);
  }

 private:
  static void Remove(const fs::path& folder) {
    std::error_code error;
    fs::remove_all(folder, error);
    if (error) spdlog::warn("{}: cannot be removed: {}", folder.string(), error.message());
  }

  rollout::Coordinator& coordinator_;
  const RemoteSamplerOptions options_;
  std::deque<fs::path> published_;
};

}  // namespace

std::unique_ptr<Sampler> MakeRemoteSampler(rollout::Coordinator& coordinator,
                                           RemoteSamplerOptions options) {
  return std::make_unique<RemoteSampler>(coordinator, std::move(options));
}

}  // namespace aha::pipelines
