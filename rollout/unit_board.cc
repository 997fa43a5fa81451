#include "rollout/unit_board.h"

#include <utility>

namespace aha::rollout {
namespace {

double Seconds(Deadline::Clock::duration span) {
  return std::chrono::duration<double>(span).count();
}

}  // namespace

std::optional<std::string> ReplyFault(const proto::SampleRequest& request,
                                      const proto::SampleReply& reply) {
  std::int64_t samples = 0;
  for (const proto::GroupRequest& group : request.groups())
    samples += group.samples();
  if (reply.completions_size() != samples) {
    return fmt::format("{} completions instead of {}", reply.completions_size(), samples);
  }
  for (int i = 0; i < reply.completions_size(); ++i) {
    const proto::Completion& c = reply.completions(i);
    if (c.ids().empty() || c.ids_size() != c.logprobs_size()) {
      return fmt::format("completion {} has {} tokens and {} log-probabilities", i, c.ids_size(),
                         c.logprobs_size());
    }
  }
  return {};
}

UnitBoard::UnitBoard(std::span<const proto::SampleRequest> units,
                     std::chrono::milliseconds timeout,
                     int most_attempts)
    : units_(units),
      timeout_(timeout),
      most_attempts_(most_attempts),
      held_(units.size()),
      attempts_(units.size(), 0),
      replies_(units.size()),
      somebody_(Clock::now()) {
  for (std::size_t u = 0; u < units.size(); ++u)
    waiting_.push_back(u);
}

std::optional<std::size_t> UnitBoard::Take(const std::string& worker) {
  if (over() || waiting_.empty()) return {};
  const std::size_t unit = waiting_.front();
  waiting_.pop_front();
  held_[unit] = Held{worker, Clock::now()};
  return unit;
}

void UnitBoard::Return(std::size_t unit, std::string_view why) {
  if (!held_[unit]) return;
  if (++attempts_[unit] >= most_attempts_) {
    Fail({Code::kInternal,
          fmt::format("unit {}: {} workers were lost with it, the last one {} ({}); their own logs "
                      "say more",
                      units_[unit].unit(), attempts_[unit], held_[unit]->worker, why)});
  }
  held_[unit].reset();
  waiting_.push_front(unit);
}

void UnitBoard::Finish(std::size_t unit, proto::SampleReply reply) {
  if (!held_[unit]) return;
  held_[unit].reset();
  replies_[unit] = std::move(reply);
  ++finished_;
}

void UnitBoard::Fail(Error error) {
  if (!error_) error_ = std::move(error);
}

void UnitBoard::CheckTime(bool anybody, const std::string& absent) {
  const auto now = Clock::now();
  for (std::size_t u = 0; u < held_.size(); ++u) {
    if (!held_[u] || now - held_[u]->since < timeout_) continue;
    Fail({Code::kTimeout,
          fmt::format("worker {} has had unit {} for {:.1f} s, {:.1f} s are allowed; raise "
                      "rollout_timeout_s or lower prompts_per_unit",
                      held_[u]->worker, units_[u].unit(), Seconds(now - held_[u]->since),
                      Seconds(timeout_))});
  }
  if (anybody) {
    somebody_ = now;
  } else if (now - somebody_ >= timeout_) {
    Fail({Code::kTimeout,
          fmt::format("no worker for {:.1f} s, {} of {} units are not done: {}",
                      Seconds(now - somebody_), units_.size() - finished_, units_.size(), absent)});
  }
}

Result<std::vector<proto::SampleReply>> UnitBoard::TakeReplies() {
  if (error_) return tl::unexpected<Error>(*error_);
  return std::move(replies_);
}

}  // namespace aha::rollout
