#include <limits>

#include "rewards/plugin.h"

struct NotANumber {
  static constexpr std::string_view kName = "not_a_number";
  static constexpr std::string_view kDoc = "NaN, or infinity for long completions";
  aha::plugin::Verdict Score(const aha::plugin::Input& input) const {
    return input.completion.size() > 3 ? std::numeric_limits<double>::infinity()
                                       : std::numeric_limits<double>::quiet_NaN();
  }
};
AHA_REWARD_PLUGIN(NotANumber)
