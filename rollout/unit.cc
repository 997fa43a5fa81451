// The engine's entry for messages: a unit of work in, its completions out.

#include "rollout/unit.h"

#include <optional>
#include <utility>

#include "rollout/engine.h"

namespace aha::rollout {

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

void FillCompletion(proto::Completion& completion, const SampleOutcome& sample) {
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

namespace {

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

// Groups of all units, numbered through: their number is the request's id.
struct Engine::UnitBoard {
  struct Place {
    std::size_t unit;
    std::vector<proto::Completion*> completions;
    std::uint64_t prompt_id;
  };
  std::span<const proto::SampleRequest> units;
  std::vector<proto::SampleReply> replies;
  std::vector<Place> groups;
  std::vector<std::size_t> left;  // groups of each unit that are not done
  std::optional<Error> error;

  explicit UnitBoard(std::span<const proto::SampleRequest> all)
      : units(all), replies(all.size()), left(all.size(), 0) {
    for (std::size_t u = 0; u < units.size(); ++u) {
      replies[u].set_unit(units[u].unit());
      replies[u].set_weights_version(units[u].weights_version());
      for (const proto::GroupRequest& group : units[u].groups()) {
        groups.push_back({u, AddGroup(units[u], group, replies[u]), group.prompt_id()});
        left[u] += group.samples() > 0 ? 1 : 0;
      }
    }
  }

  // True: the outcome's unit is done.
  bool Take(const Outcome& outcome) {
    Place& place = groups[outcome.id];
    if (outcome.error && !error) {
      error = Error{outcome.error->code,
                    fmt::format("prompt {}: {}", place.prompt_id, outcome.error->message)};
    }
    for (std::size_t s = 0; s < outcome.samples.size(); ++s)
      FillCompletion(*place.completions[s], outcome.samples[s]);
    return --left[place.unit] == 0;
  }
};

Status Engine::AddUnits(UnitBoard& board, const UnitHooks& hooks) {
  std::uint64_t id = 0;
  for (const proto::SampleRequest& unit : board.units) {
    for (const proto::GroupRequest& group : unit.groups()) {
      const std::uint64_t number = id++;
      if (group.samples() == 0) continue;
      Request request = RequestOf(unit, group, number);
      request.stop_ids = options_.stop_ids;
      request.on_token = hooks.on_token;
      const Status added = Add(std::move(request));
      if (!added) return Within(added.error(), "prompt {}", group.prompt_id());
    }
  }
  return {};
}

Result<std::vector<proto::SampleReply>> Engine::RunAll(std::span<const proto::SampleRequest> units,
                                                       const UnitHooks& hooks) {
  if (!idle()) return Fail(Code::kBusy, "the engine has requests of its own under way");
  if (!units.empty() && units.front().weights_version() != version_)
    SwapWeights(units.front().weights_version());
  // Before there is room made for them: a message may ask for billions.
  std::uint64_t samples = 0;
  for (const proto::SampleRequest& unit : units) {
    for (const proto::GroupRequest& group : unit.groups())
      samples += group.samples();
  }
  if (samples > options_.most_queued) {
    return Fail(Code::kExhausted, "{} messages ask for {} samples, most_queued is {}", units.size(),
                samples, options_.most_queued);
  }
  UnitBoard board(units);
  if (const Status added = AddUnits(board, hooks); !added) {
    for (std::size_t id = 0; id < board.groups.size(); ++id)
      Cancel(id);
    board.error = added.error();
  }
  for (std::uint64_t drawn = totals_.drawn; Step(); drawn = totals_.drawn) {
    if (hooks.on_tokens && totals_.drawn > drawn)
      hooks.on_tokens(static_cast<std::int64_t>(totals_.drawn - drawn));
    for (const Outcome& outcome : TakeOutcomes()) {
      if (board.Take(outcome) && hooks.on_unit) hooks.on_unit(board.groups[outcome.id].unit);
    }
  }
  TakeOutcomes();
  if (board.error) return tl::unexpected<Error>(*board.error);
  return std::move(board.replies);
}

Result<proto::SampleReply> Engine::Run(const proto::SampleRequest& unit, const UnitHooks& hooks) {
  AHA_ASSIGN(std::vector<proto::SampleReply> replies, RunAll({&unit, 1}, hooks));
  return std::move(replies.front());
}

}  // namespace aha::rollout
