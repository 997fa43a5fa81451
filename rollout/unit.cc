// The engine's entry for messages: a unit of work in, its completions out.

#include <iterator>
#include <utility>

#include "rollout/engine.h"

namespace aha::rollout {
namespace {

Request RequestOf(const proto::SampleRequest& unit,
                  const proto::GroupRequest& group,
                  std::uint64_t id) {
  Request request;
  request.id = id;
  request.prompt.assign(group.prompt_ids().begin(), group.prompt_ids().end());
  request.samples = group.samples();
  request.random = KeyedRandom(unit.seed(), "sample/" + unit.stage())
                       .With(group.visit())
                       .With(group.prompt_id());
  request.sampling.temperature = unit.sampling().temperature();
  request.sampling.top_k = unit.sampling().top_k();
  if (unit.sampling().has_top_p()) request.sampling.top_p = unit.sampling().top_p();
  request.sampling.min_p = unit.sampling().min_p();
  request.sampling.max_new_tokens = unit.sampling().max_new_tokens();
  return request;
}

void Fill(proto::Completion& completion, const SampleOutcome& sample) {
  completion.mutable_ids()->Assign(sample.ids.begin(), sample.ids.end());
  completion.mutable_logprobs()->Assign(sample.logprobs.begin(), sample.logprobs.end());
  completion.set_finish(sample.finish == Finish::kStop ? proto::FINISH_STOP : proto::FINISH_LENGTH);
  if (!sample.versions.empty()) completion.set_weights_version(sample.versions.front().version);
  if (sample.versions.size() < 2) return;
  for (const VersionRun& run : sample.versions) {
    proto::VersionRun& out = *completion.add_versions();
    out.set_first(static_cast<std::uint32_t>(run.first));
    out.set_version(run.version);
  }
}

// Completions of one group, their keys set.
std::vector<proto::Completion*> AddGroup(const proto::SampleRequest& unit,
                                         const proto::GroupRequest& group,
                                         proto::SampleReply& reply) {
  std::vector<proto::Completion*> out;
  for (std::uint32_t s = 0; s < group.samples(); ++s) {
    out.push_back(reply.add_completions());
    proto::SampleKey& key = *out.back()->mutable_key();
    key.set_seed(unit.seed());
    key.set_stage(unit.stage());
    key.set_visit(group.visit());
    key.set_prompt_id(group.prompt_id());
    key.set_sample(s);
  }
  return out;
}

}  // namespace

Status Engine::AddUnit(const proto::SampleRequest& unit) {
  for (int g = 0; g < unit.groups_size(); ++g) {
    const proto::GroupRequest& group = unit.groups(g);
    if (group.samples() == 0) continue;
    Request request = RequestOf(unit, group, static_cast<std::uint64_t>(g));
    if (options_.stop_id >= 0) {
      const policy::PolicyConfig& config = weights_.config();
      request.stop_ids.push_back(options_.stop_id);
      if (config.eos_token_id)
        request.stop_ids.push_back(static_cast<std::int32_t>(*config.eos_token_id));
      for (const std::int64_t id : config.more_eos_token_ids)
        request.stop_ids.push_back(static_cast<std::int32_t>(id));
    }
    if (const Status added = Add(std::move(request)); !added)
      return Within(added.error(), "prompt {}", group.prompt_id());
  }
  return {};
}

Result<proto::SampleReply> Engine::Run(const proto::SampleRequest& unit,
                                       const std::function<void(std::int64_t)>& on_tokens) {
  if (!idle())
    return Fail(Code::kBusy, "unit {}: the engine has requests of its own under way", unit.unit());
  if (unit.weights_version() != version_) SwapWeights(unit.weights_version());
  const Status added = AddUnit(unit);
  if (!added) {
    for (int g = 0; g < unit.groups_size(); ++g)
      Cancel(static_cast<std::uint64_t>(g));
  }
  std::uint64_t drawn = totals_.drawn;
  while (Step()) {
    if (on_tokens && totals_.drawn > drawn)
      on_tokens(static_cast<std::int64_t>(totals_.drawn - drawn));
    drawn = totals_.drawn;
  }
  std::vector<Outcome> outcomes = TakeOutcomes();
  if (!added) return tl::unexpected<Error>(added.error());
  proto::SampleReply reply;
  reply.set_unit(unit.unit());
  reply.set_weights_version(unit.weights_version());
  std::vector<std::vector<proto::Completion*>> groups;
  for (const proto::GroupRequest& group : unit.groups())
    groups.push_back(AddGroup(unit, group, reply));
  for (const Outcome& outcome : outcomes) {
    const auto g = static_cast<std::size_t>(outcome.id);
    if (outcome.error)
      return Within(*outcome.error, "prompt {}", unit.groups(static_cast<int>(g)).prompt_id());
    for (std::size_t s = 0; s < outcome.samples.size(); ++s)
      Fill(*groups[g][s], outcome.samples[s]);
  }
  return reply;
}

}  // namespace aha::rollout
