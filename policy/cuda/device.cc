#include "policy/cuda/device.h"

#include <cuda_runtime_api.h>

namespace aha::policy::cuda {

Result<DeviceInfo> FindDevice() {
  int count = 0;
  if (const cudaError_t error = cudaGetDeviceCount(&count); error != cudaSuccess || count == 0) {
    return Fail(Code::kNotFound,
                "no CUDA device: {}; a GPU with a driver for CUDA 13 is needed, or --device cpu",
                error != cudaSuccess ? cudaGetErrorString(error) : "the driver lists none");
  }
  cudaDeviceProp properties{};
  DeviceInfo info;
  if (const cudaError_t error = cudaGetDeviceProperties(&properties, 0); error != cudaSuccess)
    return Fail(Code::kNotFound, "no CUDA device: device 0: {}", cudaGetErrorString(error));
  info.name = properties.name;
  info.major = properties.major;
  info.minor = properties.minor;
  if (info.major < 8) {
    return Fail(Code::kNotFound, "no CUDA device: {} has compute capability {}.{}, Aha needs 8.0",
                info.name, info.major, info.minor);
  }
  if (const cudaError_t error = cudaMemGetInfo(&info.free_bytes, &info.total_bytes);
      error != cudaSuccess)
    return Fail(Code::kNotFound, "no CUDA device: {}: {}", info.name, cudaGetErrorString(error));
  return info;
}

}  // namespace aha::policy::cuda
