#include "policy/kernels/cpu/target.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <string>

#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace aha::policy::cpu {
namespace {

constexpr std::array<std::string_view, 6> kNames = {"portable",    "avx2", "avx512",
                                                    "avx512_bf16", "amx",  "amx_model"};

#if defined(__x86_64__)
// Tiles need the operating system's leave once a process (arch_prctl, XFEATURE_XTILEDATA).
bool HasAmx() {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) == 0) return false;
  const bool bf16 = (edx >> 22 & 1U) != 0;
  const bool tiles = (edx >> 24 & 1U) != 0;
  constexpr long kRequestPermission = 0x1023;
  constexpr long kTileData = 18;
  return bf16 && tiles && syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}
#endif

std::vector<KernelTarget> Detect() {
  std::vector<KernelTarget> found = {KernelTarget::kPortable};
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma") ||
      !__builtin_cpu_supports("bmi2"))
    return found;
  found.push_back(KernelTarget::kAvx2);
  if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512bw") ||
      !__builtin_cpu_supports("avx512dq") || !__builtin_cpu_supports("avx512vl")) {
    return found;
  }
  found.push_back(KernelTarget::kAvx512);
  if (!__builtin_cpu_supports("avx512bf16")) return found;
  found.push_back(KernelTarget::kAvx512Bf16);
  if (HasAmx()) found.push_back(KernelTarget::kAmx);
  found.push_back(KernelTarget::kAmxModel);
#endif
  return found;
}

}  // namespace

std::string_view KernelTargetName(KernelTarget target) {
  return kNames[static_cast<std::size_t>(target)];
}

const std::vector<KernelTarget>& SupportedKernelTargets() {
  static const std::vector<KernelTarget> found = Detect();
  return found;
}

Result<KernelTarget> ChooseKernelTarget(std::string_view request) {
  const std::vector<KernelTarget>& supported = SupportedKernelTargets();
  std::string known;
  KernelTarget fastest = KernelTarget::kPortable;
  for (const KernelTarget target : supported) {
    if (KernelTargetName(target) == request) return target;
    if (target != KernelTarget::kAmxModel) fastest = target;
    known += (known.empty() ? "" : ", ") + std::string(KernelTargetName(target));
  }
  if (request.empty()) return fastest;
  const bool exists = std::find(kNames.begin(), kNames.end(), request) != kNames.end();
  return Fail(Code::kInvalidArgument, "AHA_KERNELS: {} \"{}\"; this machine runs: {}",
              exists ? "this machine cannot run" : "no such kernel target:", request, known);
}

Result<KernelTarget> ChooseKernelTarget() {
  const char* request =
      std::getenv("AHA_KERNELS");  // NOLINT(concurrency-mt-unsafe): nobody sets it
  return ChooseKernelTarget(request == nullptr ? "" : request);
}

}  // namespace aha::policy::cpu
