#pragma once
/// Which instructions the kernels use. Within one target every kernel is batch-invariant, bit for
/// bit; between targets bits may differ, so a run records its target.

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace aha::policy::cpu {

enum class KernelTarget : std::uint8_t {
  kPortable,    ///< any CPU
  kAvx2,        ///< AVX2 and FMA
  kAvx512,      ///< AVX-512 F, BW, DQ, VL: bf16 is widened to fp32
  kAvx512Bf16,  ///< and vdpbf16ps
  kAmx,         ///< and bf16 tiles for matrix products
  kAmxModel,    ///< kAmx with its tiles computed by software: slow, for tests on a CPU without them
};

/// "portable", "avx2", "avx512", "avx512_bf16", "amx", "amx_model".
std::string_view KernelTargetName(KernelTarget target);

/// What this machine can run, slowest first; kAmxModel last, where it can run. Asks the kernel for
/// AMX.
const std::vector<KernelTarget>& SupportedKernelTargets();

/// The target named by `request`, or the machine's fastest if it is empty.
/// Errors: kInvalidArgument, a name that is unknown or that this machine cannot run.
Result<KernelTarget> ChooseKernelTarget(std::string_view request);
/// The same with the environment's AHA_KERNELS for a request.
Result<KernelTarget> ChooseKernelTarget();

}  // namespace aha::policy::cpu
