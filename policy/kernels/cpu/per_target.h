// Compiles AHA_BODY, a file of kernels, for the instruction set that foreach_target.h is at. No include guard.
// AHA_NS names the kernel target; AHA_DP says whether vdpbf16ps is there.
#if HWY_TARGET == HWY_AVX3

#define AHA_NS avx512
#define AHA_DP 0
HWY_BEFORE_NAMESPACE();
#include AHA_BODY
HWY_AFTER_NAMESPACE();
#undef AHA_NS
#undef AHA_DP

#define AHA_NS avx512_bf16
#define AHA_DP 1
HWY_BEFORE_NAMESPACE();
#pragma GCC push_options
#pragma GCC target("avx512bf16")
#include AHA_BODY
#pragma GCC pop_options
HWY_AFTER_NAMESPACE();
#undef AHA_NS
#undef AHA_DP

#else

#if HWY_TARGET == HWY_AVX2
#define AHA_NS avx2
#else
#define AHA_NS portable
#endif
#define AHA_DP 0
HWY_BEFORE_NAMESPACE();
#include AHA_BODY
HWY_AFTER_NAMESPACE();
#undef AHA_NS
#undef AHA_DP

#endif
