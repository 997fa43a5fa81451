#include "rewards/isolate/isolated_reward.h"

#include <cstring>
#include <mutex>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/log.h"
#include "rewards/isolate/host_process.h"
#include "rewards/text.h"

namespace aha::rewards {
namespace {

using std::chrono::milliseconds;
constexpr std::uint32_t kMemoryMb = 1024;
constexpr std::uint32_t kTimeoutMs = 10000;
constexpr milliseconds kStartTime{20000};

std::string ConfigFrame(const RewardInfo& info, const Config& config) {
  host::FrameWriter frame;
  frame.Put(std::uint64_t{info.keys.size()});
  for (const ConfigKey& key : info.keys) {
    const ConfigValue& value = config.Value(key.name);
    const auto* flag = std::get_if<bool>(&value);
    const auto* integer = std::get_if<std::int64_t>(&value);
    const auto* number = std::get_if<double>(&value);
    const auto* text = std::get_if<std::string>(&value);
    frame.Put(std::int64_t{flag != nullptr ? (*flag ? 1 : 0) : integer != nullptr ? *integer : 0});
    frame.Put(number != nullptr ? *number : 0.0);
    frame.PutText(text != nullptr ? std::string_view(*text) : std::string_view());
  }
  return frame.Finish();
}

std::string InputFrame(const ScoreInput& input) {
  host::FrameWriter frame;
  frame.Put(input.tokens);
  frame.Put(std::uint32_t{input.truncated ? 1U : 0U});
  for (const auto text :
       {input.id, input.prompt, input.completion, input.reference, input.language}) {
    frame.PutText(text);
  }
  return frame.Finish();
}

template <std::size_t N>
std::string_view Text(const char (&text)[N]) {
  return {text, strnlen(text, N)};
}

Outcome ToOutcome(const host::Verdict& verdict) {
  if (verdict.failure == 0) return Scored(verdict.score, Text(verdict.reason));
  const bool known = verdict.failure <= proto::Failure::BAD_REFERENCE;
  return Failed(known ? static_cast<proto::Failure::Kind>(verdict.failure) : proto::Failure::CRASH,
                Text(verdict.detail));
}

class IsolatedReward : public Reward {
 public:
  IsolatedReward(std::string name,
                 std::string plugin,
                 std::string config,
                 const proto::Isolation& limits)
      : name_(std::move(name)),
        plugin_(std::move(plugin)),
        config_(std::move(config)),
        memory_mb_(limits.has_memory_mb() ? limits.memory_mb() : kMemoryMb),
        timeout_(limits.has_timeout_ms() ? limits.timeout_ms() : kTimeoutMs) {}

  // The first process, so that a config that the plug-in refuses is found out at once.
  Status Begin() {
    AHA_ASSIGN(auto process, StartProcess());
    idle_.push_back(std::move(process));
    return {};
  }

  [[nodiscard]] Outcome Score(const ScoreInput& input) const override {
    auto process = Take();
    if (!process) {
      return Failed(proto::Failure::CRASH, fmt::format("{}: its process could not be started: {}",
                                                       name_, process.error().message));
    }
    const auto verdict = (*process)->Ask(InputFrame(input), Deadline::After(timeout_));
    if (verdict) {
      const std::lock_guard lock(mutex_);
      idle_.push_back(*std::move(process));
      return ToOutcome(*verdict);
    }
    const Error& error = verdict.error();
    spdlog::warn("reward {}: {}; the next completion gets a new process", name_, error.message);
    if (error.code == Code::kTimeout) {
      return Failed(proto::Failure::TIMEOUT,
                    fmt::format("{}: not finished within {} ms; its process was killed", name_,
                                timeout_.count()));
    }
    return Failed(proto::Failure::CRASH, fmt::format("{}: {}", name_, error.message));
  }

 private:
  [[nodiscard]] Result<std::unique_ptr<HostProcess>> StartProcess() const {
    return HostProcess::Start(plugin_, config_, memory_mb_, Deadline::After(kStartTime));
  }
  Result<std::unique_ptr<HostProcess>> Take() const {
    {
      const std::lock_guard lock(mutex_);
      if (!idle_.empty()) {
        auto process = std::move(idle_.back());
        idle_.pop_back();
        return process;
      }
    }
    return StartProcess();
  }

  const std::string name_;
  const std::string plugin_;
  const std::string config_;
  const std::uint32_t memory_mb_;
  const milliseconds timeout_;
  mutable std::mutex mutex_;  // guards idle_
  mutable std::vector<std::unique_ptr<HostProcess>> idle_;
};

}  // namespace

Result<std::unique_ptr<Reward>> MakeIsolated(const RewardInfo& info,
                                             const Config& config,
                                             const proto::Isolation& limits) {
  auto reward =
      std::make_unique<IsolatedReward>(info.name, info.file, ConfigFrame(info, config), limits);
  if (Status begun = reward->Begin(); !begun) {
    return Within(begun.error(), "{}", info.name);
  }
  return reward;
}

}  // namespace aha::rewards
