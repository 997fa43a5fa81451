#include "pipelines/stages/stage.h"

#include "base/content_hash.h"
#include "base/log.h"
#include "pipelines/model/model_folder.h"
#include "pipelines/sampling/remote_sampler.h"
#include "pipelines/stages/examples.h"
#include "policy/checkpoint/checkpoint.h"

namespace aha::pipelines {

std::string_view KindOf(const proto::Stage& stage) {
  switch (stage.kind_case()) {
    case proto::Stage::kPretrain:
      return "pretrain";
    case proto::Stage::kSft:
      return "sft";
    case proto::Stage::kRl:
      return "rl";
    case proto::Stage::kReject:
      return "reject";
    case proto::Stage::KIND_NOT_SET:
      break;
  }
  return "nothing";
}

policy::AdamWOptions AdamWOf(const proto::Optimizer& o) {
  const auto moments = o.moments() == "bf16" ? policy::Moments::kBf16 : policy::Moments::kFp32;
  return {o.beta1(), o.beta2(), o.epsilon(), o.weight_decay(), o.clip_norm(), moments};
}

policy::Schedule ScheduleOf(const proto::Optimizer& o, std::int64_t steps) {
  using Shape = policy::Schedule::Shape;
  policy::Schedule schedule;
  schedule.peak = o.learning_rate();
  schedule.warmup = o.warmup_steps();
  if (o.schedule() == "cosine") schedule.shape = Shape::kCosine;
  if (o.schedule() == "multi_step") schedule.shape = Shape::kMultiStep;
  if (o.schedule() == "stable_decay") schedule.shape = Shape::kStableDecay;
  schedule.final_ratio = o.final_ratio();
  schedule.total = steps;
  schedule.first_drop = o.first_drop();
  schedule.second_drop = o.second_drop();
  schedule.drop_ratio = o.drop_ratio();
  schedule.decay_share = o.decay_share();
  return schedule;
}

Result<std::unique_ptr<Sampler>> MakeSampler(const StageIo& io,
                                             const Model& model,
                                             std::chrono::seconds unit_timeout) {
  if (io.coordinator == nullptr) return MakeLocalSampler(model.weights, model.stop_ids, *io.cpu);
  const std::uint32_t count = io.recipe->rollout_workers();
  spdlog::info("{}: waits for {} rollout worker{} at {}", io.stage->name(), count,
               count == 1 ? "" : "s", io.coordinator->endpoint());
  AHA_TRY(io.coordinator->WaitForWorkers(count, Deadline::After(unit_timeout)));
  return MakeRemoteSampler(*io.coordinator, {io.folder / "weights", io.init, unit_timeout});
}

Result<StageReport> RunStage(const StageIo& io) {
  const auto run = [&]() -> Result<StageReport> {
    switch (io.stage->kind_case()) {
      case proto::Stage::kPretrain:
        return RunPretrain(io);
      case proto::Stage::kSft:
        return RunSft(io);
      case proto::Stage::kRl:
        return RunRl(io);
      case proto::Stage::kReject:
        return RunReject(io);
      case proto::Stage::KIND_NOT_SET:
        break;
    }
    return Fail(Code::kInvalidArgument, "stage {} has no kind", io.stage->name());
  };
  auto report = Guard("stage " + io.stage->name(), run);
  if (!report) return report;
  auto hash = io.stage->has_reject() ? HashFile(report->checkpoint / kExamplesFile)
                                     : policy::WeightsHash(report->checkpoint);
  if (!hash) return tl::unexpected<Error>(hash.error());
  report->sha256 = *hash;
  return report;
}

}  // namespace aha::pipelines
