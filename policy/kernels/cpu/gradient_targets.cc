#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <type_traits>
#include <utility>

#include "policy/kernels/cpu/cpu.h"
#include "policy/kernels/cpu/dispatch.h"
#include "policy/kernels/cpu/gradient_kernels.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "policy/kernels/cpu/gradient_targets.cc"
#include "policy/kernels/cpu/foreach_target.h"

#define AHA_BODY "policy/kernels/cpu/gradient-inl.h"
#include "policy/kernels/cpu/per_target.h"
#undef AHA_BODY

#if HWY_ONCE
namespace aha::policy::cpu {
const GradientKernels& GradientKernelsFor(KernelTarget target) {
  return AHA_DISPATCH(target, GradientTable);
}
}  // namespace aha::policy::cpu
#endif
