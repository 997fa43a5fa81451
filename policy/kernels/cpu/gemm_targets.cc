#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <type_traits>
#include <utility>

#include "policy/kernels/cpu/cpu.h"
#include "policy/kernels/cpu/dispatch.h"
#include "policy/kernels/cpu/gemm_kernels.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "policy/kernels/cpu/gemm_targets.cc"
#include "policy/kernels/cpu/foreach_target.h"

#define AHA_BODY "policy/kernels/cpu/gemm-inl.h"
#include "policy/kernels/cpu/per_target.h"
#undef AHA_BODY

#if HWY_ONCE
namespace aha::policy::cpu {
const GemmKernels& AmxGemmKernels(bool model);
const GemmKernels& GemmKernelsFor(KernelTarget target) {
  if (target == KernelTarget::kAmx || target == KernelTarget::kAmxModel)
    return AmxGemmKernels(target == KernelTarget::kAmxModel);
  return AHA_DISPATCH(target, Table);
}
}  // namespace aha::policy::cpu
#endif
