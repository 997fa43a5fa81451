#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>
#include <utility>

#include "policy/kernels/cpu/attention_kernels.h"
#include "policy/kernels/cpu/cpu.h"
#include "policy/kernels/cpu/dispatch.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "policy/kernels/cpu/attention_targets.cc"
#include "policy/kernels/cpu/foreach_target.h"

#define AHA_BODY "policy/kernels/cpu/attention-inl.h"
#include "policy/kernels/cpu/per_target.h"
#undef AHA_BODY

#if HWY_ONCE
namespace aha::policy::cpu {
const AttentionKernels& AttentionKernelsFor(KernelTarget target) {
  return AHA_DISPATCH(target, AttentionTable);
}
}  // namespace aha::policy::cpu
#endif
