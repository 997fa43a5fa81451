#pragma once
/// What this machine can do at most, measured.

#include <cstddef>
#include <string>

namespace aha::policy::cpu {

/// Of all threads together. Zero where the CPU has no such instruction.
struct MachinePeak {
  double fp32_gflops = 0;  ///< fused multiply-adds on the widest vectors
  double bf16_gflops = 0;  ///< the best of vdpbf16ps and fp32
  double memory_gb_s = 0;  ///< reading 256 MiB in order
  double l3_gb_s = 0;      ///< reading 8 MiB
  double l2_gb_s = 0;      ///< reading 512 KiB a thread

  /// Of the nearest memory that holds so many bytes.
  [[nodiscard]] double BandwidthOf(double bytes) const {
    return bytes > 16e6 ? memory_gb_s : bytes > 7e5 ? l3_gb_s : l2_gb_s;
  }
};

MachinePeak MeasurePeak(int threads);
std::string Describe(const MachinePeak& peak);

}  // namespace aha::policy::cpu
