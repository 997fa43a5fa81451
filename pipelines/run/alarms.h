#pragma once
/// Alarms over a run's metrics: what usually goes wrong in reinforcement learning, seen in the
/// figures that every step writes anyway. Knows no files and no clock: the same metrics raise the
/// same alarms.

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "pipelines/run/event_file.h"
#include "proto/recipe.pb.h"

namespace aha::pipelines {

struct Alarm {
  std::string name;     ///< the recipe's key: "kl_jump"
  double value = 0;     ///< the figure that raised it
  std::string message;  ///< what was seen, in figures, and what to try
  bool onset = false;   ///< the step before was not in alarm
  bool stop = false;    ///< the recipe wants the stage to end
};

class Alarms {
 public:
  /// @param recipe  resolved.
  explicit Alarms(const proto::Alarms& recipe) : recipe_(recipe) {}

  /// Takes a step's metrics, by the names they have in metrics.jsonl (a metric that is not there,
  /// or is not a number, raises nothing), and returns the alarms that it is in. A step in alarm
  /// does not enter what later ones are compared with.
  std::vector<Alarm> Observe(std::uint64_t step, std::span<const Metric> metrics);

  /// The alarm for a step whose loss or gradient was not finite; `what` names it.
  Alarm NotFinite(std::uint64_t step, const std::string& what);

 private:
  struct Verdict {
    double value = 0;
    std::string seen, advice;
  };
  void Raise(const std::string& name,
             const std::string& mode,
             std::uint64_t step,
             const std::optional<Verdict>& verdict,
             std::vector<Alarm>& alarms);
  [[nodiscard]] std::optional<double> Usual(const std::string& metric) const;
  std::optional<Verdict> EqualRewards(double even);
  std::optional<Verdict> AboveUsual(const std::string& metric,
                                    double value,
                                    double factor,
                                    double floor);

  proto::Alarms recipe_;
  std::map<std::string, std::deque<double>> history_;
  std::set<std::string> active_;
  std::uint64_t even_steps_ = 0;
};

}  // namespace aha::pipelines
