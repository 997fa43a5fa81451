/* The binary interface between Aha and a reward plug-in: a shared object that exports one C
 * function, aha_reward_plugin. Plain C; C++ authors include rewards/plugin.h, which writes all this
 * for them.
 *
 * Rules
 *  - abi_version and struct_size are the first two fields for ever. Aha refuses any version that it
 *    does not know. A version number says what a plug-in relies on: an Aha that knows only version
 * 1 would call a plug-in that is not thread-safe from many threads, so such a one must not load
 * there. 1  the fields up to score; score is called from many threads at once 2  flags
 *  - Text goes in as views (pointer and length, not NUL-terminated, any bytes in prompt and
 *    completion), borrowed until the call returns; numbers and short texts come out.
 *  - score is called from many threads at once on one reward, unless flags say otherwise. No
 * function may throw.
 *  - A plug-in is never unloaded.
 */
#ifndef AHA_REWARDS_PLUGIN_ABI_H_
#define AHA_REWARDS_PLUGIN_ABI_H_

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define AHA_REWARD_ABI_VERSION 2u

/* Flags of a plug-in. */
/* score is called from one thread at a time: the plug-in has state that threads must not share. */
#define AHA_REWARD_ONE_THREAD 1u

typedef struct aha_view {
  const char* data;
  size_t size;
} aha_view;

/* Types of a config key. */
enum { AHA_REWARD_BOOL = 1, AHA_REWARD_INTEGER = 2, AHA_REWARD_NUMBER = 3, AHA_REWARD_TEXT = 4 };

/* The field that the key's type names is meant; a bool is integer 0 or 1. */
typedef struct aha_reward_value {
  int64_t integer;
  double number;
  aha_view text;
} aha_reward_value;

/* A key that the recipe may set. What is not declared is refused before the plug-in is asked. */
typedef struct aha_reward_key {
  aha_view name; /* a letter or _, then letters, digits and _ */
  aha_view doc;  /* one line */
  uint32_t type;
  aha_reward_value default_value;
} aha_reward_key;

typedef struct aha_reward_input {
  uint32_t struct_size;
  uint32_t tokens;    /* length of the completion in tokens */
  uint32_t truncated; /* 1: stopped by the length limit */
  aha_view id;
  aha_view prompt;
  aha_view completion;
  aha_view reference;
  aha_view language;
} aha_reward_input;

/* What score fills in. failure 0: score is the verdict. Otherwise there is none, and failure says
 * why: 1 timeout, 2 crash, 3 bad reference, as in proto/rewards.proto. What is the completion's own
 * fault is a score, never a failure. reason and detail are UTF-8 with a NUL at the end. */
typedef struct aha_reward_result {
  uint32_t struct_size;
  uint32_t failure;
  double score;
  char reason[256];
  char detail[512];
} aha_reward_result;

typedef struct aha_reward_plugin_info {
  uint32_t abi_version; /* AHA_REWARD_ABI_VERSION */
  uint32_t struct_size; /* sizeof(aha_reward_plugin_info) */
  aha_view name;        /* what recipes call the reward */
  aha_view doc;         /* one line */
  const aha_reward_key* keys;
  size_t key_count;
  /* A reward with its configuration, one value a key in their order (the default where the recipe
   * sets none). NULL: refused; error (of error_size bytes) then says why. */
  void* (*create)(const aha_reward_value* values, size_t count, char* error, size_t error_size);
  void (*destroy)(void* reward);
  void (*score)(const void* reward, const aha_reward_input* input, aha_reward_result* result);
  uint32_t flags; /* since version 2; in version 1 it is 0 */
} aha_reward_plugin_info;

/* The function that the shared object exports. What it returns lives as long as the process. */
typedef const aha_reward_plugin_info* (*aha_reward_plugin_function)(void);
#define AHA_REWARD_PLUGIN_SYMBOL "aha_reward_plugin"

#ifdef __cplusplus
}
#endif

#endif /* AHA_REWARDS_PLUGIN_ABI_H_ */
