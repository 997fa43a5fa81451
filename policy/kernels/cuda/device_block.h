#pragma once
/// A block of lanes on a GPU: for .cu files.

#include "policy/kernels/cuda/host_device.h"

namespace aha::policy::cuda {

struct DeviceBlock {
  template <class F>
  __device__ void Lanes(const F& f) const {
    f(static_cast<int>(threadIdx.x));
    __syncthreads();
  }
  /// After the barrier, so that nobody writes it before all have read it.
  template <class T>
  __device__ T Read(const T& shared) const {
    const T value = shared;
    __syncthreads();
    return value;
  }
};

}  // namespace aha::policy::cuda
