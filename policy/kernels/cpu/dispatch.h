#pragma once
/// From a target to its table of kernels. A file of kernels defines `const TABLE& TABLE_OF()` in
/// every target's namespace; AMX uses the table of avx512_bf16 unless it has one of its own.

#include <hwy/detect_targets.h>

#include "policy/kernels/cpu/target.h"

#if HWY_TARGETS & HWY_AVX3
#define AHA_DISPATCH(target, table)                        \
  ((target) == KernelTarget::kPortable ? portable::table() \
   : (target) == KernelTarget::kAvx2   ? avx2::table()     \
   : (target) == KernelTarget::kAvx512 ? avx512::table()   \
                                       : avx512_bf16::table())
#else
#define AHA_DISPATCH(target, table) (static_cast<void>(target), portable::table())
#endif
