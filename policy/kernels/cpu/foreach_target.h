// Includes HWY_TARGET_INCLUDE once for every instruction set that kernels are written for:
// Highway's baseline, AVX2 and AVX3. No include guard: a file of kernels includes it once, before
// anything of Highway.
#undef HWY_DISABLED_TARGETS
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SSE4 | HWY_AVX3_DL)
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
