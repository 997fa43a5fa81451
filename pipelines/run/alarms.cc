#include "pipelines/run/alarms.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include <fmt/format.h>

namespace aha::pipelines {
namespace {

double Find(std::span<const Metric> metrics, std::string_view name) {
  const auto it =
      std::find_if(metrics.begin(), metrics.end(), [&](const Metric& m) { return m.name == name; });
  return it == metrics.end() ? std::numeric_limits<double>::quiet_NaN() : it->value;
}

}  // namespace

std::optional<double> Alarms::Usual(const std::string& metric) const {
  const auto it = history_.find(metric);
  const std::size_t needed = std::max<std::size_t>(1, recipe_.window() / 2);
  if (it == history_.end() || it->second.size() < needed) return std::nullopt;
  std::vector<double> values(it->second.begin(), it->second.end());
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

std::optional<Alarms::Verdict> Alarms::AboveUsual(const std::string& metric,
                                                  double value,
                                                  double factor,
                                                  double floor) {
  if (!std::isfinite(value)) return std::nullopt;
  const auto usual = Usual(metric);
  if (usual && value > floor && value > factor * *usual) {
    return Verdict{value,
                   fmt::format("{} is {:.4g}, {:.3g} times the usual {:.4g}", metric, value,
                               value / *usual, *usual),
                   ""};
  }
  std::deque<double>& history = history_[metric];
  history.push_back(value);
  if (history.size() > recipe_.window()) history.pop_front();
  return std::nullopt;
}

std::optional<Alarms::Verdict> Alarms::EqualRewards(double even) {
  even_steps_ = even >= 1 ? even_steps_ + 1 : 0;
  if (even_steps_ < recipe_.equal_rewards_steps()) return std::nullopt;
  return Verdict{
      static_cast<double>(even_steps_),
      fmt::format("no group had two different rewards for {} steps in a row: nothing is learned",
                  even_steps_),
      "look at completions with `aha why`; take easier or harder prompts, a larger group_size, "
      "or check the verifier"};
}

void Alarms::Raise(const std::string& name,
                   const std::string& mode,
                   std::uint64_t step,
                   const std::optional<Verdict>& verdict,
                   std::vector<Alarm>& alarms) {
  if (!verdict || mode == "off") {
    active_.erase(name);
    return;
  }
  const bool onset = active_.insert(name).second;
  alarms.push_back(
      {name, verdict->value,
       fmt::format("step {}: alarm {}: {}; {}", step, name, verdict->seen, verdict->advice), onset,
       mode == "stop"});
}

std::vector<Alarm> Alarms::Observe(std::uint64_t step, std::span<const Metric> metrics) {
  std::vector<Alarm> alarms;
  // NaN is below and above nothing.
  const auto above = [](double value, double limit, const char* what,
                        const char* advice) -> std::optional<Verdict> {
    if (!(value > limit)) return std::nullopt;
    return Verdict{value, fmt::format("{} is {:.4g}, above {:.4g}", what, value, limit), advice};
  };
  const auto advised = [](std::optional<Verdict> verdict, const char* advice) {
    if (verdict) verdict->advice = advice;
    return verdict;
  };
  const double even = Find(metrics, "groups_without_signal");
  std::optional<Verdict> idle =
      above(even, recipe_.no_signal_share(), "the share of groups whose rewards were all equal",
            "take prompts of another difficulty, a larger group_size, or group_filter: \"refill\"");
  const double masked = Find(metrics, "samples/masked");
  if (masked > 0 && Find(metrics, "samples/busy") == 0) {
    idle = Verdict{masked,
                   fmt::format("{:.0f} samples were cut by max_new_tokens and masked, and no other "
                               "had anything to learn from",
                               masked),
                   "raise max_new_tokens, or set mask_truncated: false"};
  }
  Raise("equal_rewards", recipe_.equal_rewards(), step, EqualRewards(even), alarms);
  Raise("verifier_failures", recipe_.verifier_failures(), step,
        above(Find(metrics, "reward_failure_share"), recipe_.verifier_failures_share(),
              "the share of samples whose reward failed",
              "`aha why` shows each failure with its detail; raise reward_timeout_s, or see to "
              "the reward service"),
        alarms);
  const double entropy = Find(metrics, "entropy");
  std::optional<Verdict> collapse;
  if (entropy < recipe_.entropy_floor()) {
    collapse = Verdict{
        entropy,
        fmt::format("entropy is {:.4g} nats a token, below {:.4g}: samples are nearly alike",
                    entropy, recipe_.entropy_floor()),
        "raise clip_high (DAPO: 0.28), add KL to a reference, or lower the learning rate"};
  }
  Raise("entropy_collapse", recipe_.entropy_collapse(), step, collapse, alarms);
  Raise("length_explosion", recipe_.length_explosion(), step,
        advised(AboveUsual("completion_tokens", Find(metrics, "completion_tokens"),
                           recipe_.length_factor(), 0),
                "add reward { name: \"overlength\" } or aggregation: \"token\"; look at what "
                "became longer with `aha why`"),
        alarms);
  Raise("kl_jump", recipe_.kl_jump(), step,
        advised(AboveUsual("kl", Find(metrics, "kl"), recipe_.kl_factor(), recipe_.kl_floor()),
                "lower the learning rate, raise kl, or set reference_every lower"),
        alarms);
  Raise("gradient_norm", recipe_.gradient_norm(), step,
        advised(AboveUsual("gradient_norm", Find(metrics, "gradient_norm"),
                           recipe_.gradient_norm_factor(), 0),
                "clip_norm holds the step down; if it comes again, lower the learning rate or "
                "lengthen warmup_steps"),
        alarms);
  Raise("clip_fraction", recipe_.clip_fraction(), step,
        above(Find(metrics, "clip_fraction"), recipe_.clip_fraction_share(),
              "the share of tokens whose ratio was clipped",
              "lower the learning rate or updates_per_step, or widen clip_low and clip_high"),
        alarms);
  Raise("no_signal", recipe_.no_signal(), step, idle, alarms);
  active_.erase("not_finite");
  return alarms;
}

Alarm Alarms::NotFinite(std::uint64_t step, const std::string& what) {
  std::vector<Alarm> alarms;
  Raise("not_finite", recipe_.not_finite(), step,
        Verdict{1, fmt::format("{}; the update was left out", what),
                "lower the learning rate or clip_norm, or go back to an earlier commit"},
        alarms);
  return alarms.front();
}

}  // namespace aha::pipelines
