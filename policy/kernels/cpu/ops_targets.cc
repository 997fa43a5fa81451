#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>

#include "policy/kernels/cpu/dispatch.h"
#include "policy/kernels/cpu/ops_kernels.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "policy/kernels/cpu/ops_targets.cc"
#include "policy/kernels/cpu/foreach_target.h"

#define AHA_BODY "policy/kernels/cpu/ops-inl.h"
#include "policy/kernels/cpu/per_target.h"
#undef AHA_BODY

#if HWY_ONCE
namespace aha::policy::cpu {
const OpsKernels& OpsKernelsFor(KernelTarget target) {
  return AHA_DISPATCH(target, OpsTable);
}
}  // namespace aha::policy::cpu
#endif
