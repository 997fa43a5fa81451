#include "rollout/worker.h"

#include <unistd.h>

#include <array>
#include <optional>
#include <utility>

#include "base/content_hash.h"
#include "base/log.h"
#include "rollout/engine.h"

namespace aha::rollout {
namespace {

// The weights in use and the engine on them.
class Bench {
 public:
  explicit Bench(const PolicyLoader& load) : load_(load) {}

  [[nodiscard]] std::optional<std::uint64_t> version() const { return version_; }

  // A failure is kept until a unit asks for these weights: they may be superseded already.
  void Load(const proto::WeightsUpdate& update) {
    asked_ = update.version();
    failure_.reset();
    if (const Status loaded = TryLoad(update); !loaded) {
      spdlog::warn("weights version {}: {}", update.version(), loaded.error().message);
      version_.reset();
      failure_ = loaded.error();
    } else {
      version_ = update.version();
    }
  }

  // The weights of `request`, or why there are none.
  Status Ready(const proto::SampleRequest& request) const {
    if (failure_ && asked_ == request.weights_version()) return tl::unexpected<Error>(*failure_);
    if (version_ && *version_ == request.weights_version()) return {};
    return Fail(Code::kInternal, "unit {} asks for weights version {}, loaded is {}",
                request.unit(), request.weights_version(),
                version_ ? std::to_string(*version_) : "none");
  }

  Result<proto::SampleReply> Run(const proto::SampleRequest& request) {
    return Guard("rollout engine", [&] { return engine_->Run(request); });
  }

 private:
  Status TryLoad(const proto::WeightsUpdate& update) {
    AHA_ASSIGN(const policy::cpu::KernelTarget target, policy::cpu::ChooseKernelTarget());
    if (!cpu_) cpu_.emplace(target, 1);
    if (policy_ && sha256_ == update.sha256()) return {};
    const std::filesystem::path folder = update.folder();
    AHA_ASSIGN(const std::string found, HashFile(folder / "model.safetensors"));
    if (found != update.sha256()) {
      return Fail(Code::kCorrupt, "{}: its SHA-256 is {}, the learner announced {}",
                  (folder / "model.safetensors").string(), found, update.sha256());
    }
    engine_.reset();
    policy_.reset();  // never two at a time in memory
    sha256_.clear();
    AHA_ASSIGN(policy_, Guard("loading weights", [&] { return load_(folder); }));
    sha256_ = found;
    engine_.emplace(policy_->weights, *cpu_, EngineOptions{.stop_ids = policy_->stop_ids});
    return {};
  }

  const PolicyLoader& load_;
  std::optional<std::uint64_t> version_;  // loaded
  std::uint64_t asked_ = 0;               // last
  std::optional<Error> failure_;          // of loading `asked_`
  std::string sha256_;
  std::optional<policy::cpu::Cpu> cpu_;
  std::optional<WorkerPolicy> policy_;
  std::optional<Engine> engine_;
};

proto::SampleReply Failure(const proto::SampleRequest& request, const Error& error) {
  proto::SampleReply reply;
  reply.set_unit(request.unit());
  reply.set_weights_version(request.weights_version());
  reply.set_error(error.message);
  return reply;
}

}  // namespace

std::string WorkerName() {
  std::array<char, 256> host{};
  if (::gethostname(host.data(), host.size() - 1) != 0) host[0] = '?';
  return fmt::format("{}:{}", host.data(), ::getpid());
}

Result<std::string> RunWorker(zmq::context_t& context,
                              LinkOptions options,
                              const PolicyLoader& load) {
  if (options.name.empty()) options.name = WorkerName();
  AHA_ASSIGN(const std::unique_ptr<WorkerLink> link,
             WorkerLink::Start(context, std::move(options)));
  Bench bench(load);
  while (const std::optional<WorkerLink::Job> job = link->Next()) {
    if (job->envelope.has_weights()) {
      bench.Load(job->envelope.weights());
      link->Tell(bench.version(), {});
      continue;
    }
    const proto::SampleRequest& request = job->envelope.request();
    if (const Status ready = bench.Ready(request); !ready) {
      link->Leave(ready.error().message);
      return tl::unexpected<Error>(ready.error());
    }
    link->Tell(bench.version(), request.unit());
    auto reply = bench.Run(request);
    link->Tell(bench.version(), {});
    link->Reply(*job, reply ? *std::move(reply) : Failure(request, reply.error()));
  }
  return link->Outcome();
}

}  // namespace aha::rollout
