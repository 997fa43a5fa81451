#pragma once
/// The machine's GPU, or why there is none. In a build without AHA_CUDA there never is one.

#include <memory>
#include <string>

#include "base/result.h"

namespace aha::policy::cuda {

struct DeviceInfo {
  std::string name;
  std::size_t free_bytes = 0, total_bytes = 0;
  int major = 0, minor = 0;  ///< compute capability
};

/// Device 0. kNotFound: "no CUDA device: ..." with the driver's words, or that this build has no
/// CUDA, or that its kernels are for newer devices.
Result<DeviceInfo> FindDevice();

}  // namespace aha::policy::cuda
