#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>

#include "policy/kernels/cpu/cpu.h"
#include "policy/kernels/cpu/dispatch.h"
#include "policy/kernels/cpu/logits_kernels.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "policy/kernels/cpu/logits_targets.cc"
#include "policy/kernels/cpu/foreach_target.h"

#define AHA_BODY "policy/kernels/cpu/logits-inl.h"
#include "policy/kernels/cpu/per_target.h"
#undef AHA_BODY

#if HWY_ONCE
namespace aha::policy::cpu {
const LogitsKernels& LogitsKernelsFor(KernelTarget target) {
  return AHA_DISPATCH(target, LogitsTable);
}
}  // namespace aha::policy::cpu
#endif
