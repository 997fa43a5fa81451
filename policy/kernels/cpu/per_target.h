// Compiles AHA_BODY, a file of kernels, for the instruction set that foreach_target.h is at. No
// include guard. AHA_NS names the kernel target; AHA_DP says whether vdpbf16ps is there.
#if HWY_TARGET == HWY_AVX3

#define AHA_NS avx512
#define AHA_DP 0
#define AHA_ATTR HWY_ATTR
HWY_BEFORE_NAMESPACE();
#include AHA_BODY
HWY_AFTER_NAMESPACE();
#undef AHA_NS
#undef AHA_DP
#undef AHA_ATTR

#define AHA_NS avx512_bf16
#define AHA_DP 1
#define AHA_ATTR __attribute__((target(HWY_TARGET_STR ",avx512bf16")))
HWY_PUSH_ATTRIBUTES(HWY_TARGET_STR ",avx512bf16")
#include AHA_BODY
HWY_AFTER_NAMESPACE();
#undef AHA_NS
#undef AHA_DP
#undef AHA_ATTR

#else

#if HWY_TARGET == HWY_AVX2
#define AHA_NS avx2
#else
#define AHA_NS portable
#endif
#define AHA_DP 0
#define AHA_ATTR HWY_ATTR
HWY_BEFORE_NAMESPACE();
#include AHA_BODY
HWY_AFTER_NAMESPACE();
#undef AHA_NS
#undef AHA_DP
#undef AHA_ATTR

#endif
