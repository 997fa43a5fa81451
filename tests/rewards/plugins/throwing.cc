#include "rewards/plugin.h"

struct Throws {
  static constexpr std::string_view kName = "throws";
  static constexpr std::string_view kDoc = "throws what the completion asks for";
  aha::plugin::Verdict Score(const aha::plugin::Input& input) const {
    if (input.completion == "int") throw 7;
    throw std::runtime_error("no good: \xFF");
  }
};
AHA_REWARD_PLUGIN(Throws)
