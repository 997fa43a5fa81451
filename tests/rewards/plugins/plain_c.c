#include <stdlib.h>
#include <string.h>

#include "rewards/plugin_abi.h"

static void* create(const aha_reward_value* values, size_t count, char* error, size_t size) {
  (void)values;
  (void)count;
  (void)error;
  (void)size;
  return malloc(1);
}

static void score(const void* reward, const aha_reward_input* input, aha_reward_result* result) {
  (void)reward;
  result->score = (double)input->tokens;
  /* No NUL at the end: the host must not read on. */
  memset(result->reason, 'x', sizeof(result->reason));
}

#ifdef __cplusplus
extern "C"
#endif
    const aha_reward_plugin_info*
    aha_reward_plugin(void) {
  /* Version 1, as one built before there were flags looks. */
  static const aha_reward_plugin_info info = {1u,
                                              offsetof(aha_reward_plugin_info, flags),
                                              {"plain_c", 7},
                                              {"tokens", 6},
                                              NULL,
                                              0,
                                              create,
                                              free,
                                              score,
                                              AHA_REWARD_ONE_THREAD /* not looked at in version 1 */};
  return &info;
}
