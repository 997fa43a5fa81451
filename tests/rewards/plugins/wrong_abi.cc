#include "rewards/plugin_abi.h"

// As an older or newer plug-in would look: only the first two fields can be relied on.
extern "C" const aha_reward_plugin_info* aha_reward_plugin(void) {
  static const aha_reward_plugin_info info = {77, 8,       {"old", 3}, {"", 0}, nullptr,
                                              0,  nullptr, nullptr,    nullptr, 0};
  return &info;
}
