#include <c10/cuda/CUDAStream.h>

#include "policy/cuda/device.h"
#include "rollout/cuda/on_device.h"

namespace aha::rollout {

Result<std::unique_ptr<Generator>> CudaGenerator(const policy::Weights& weights,
                                                 const GeneratorOptions& options) {
  AHA_TRY(policy::cuda::FindDevice());
  return Guard("the CUDA device", [&] {
    // ATen queues on the current stream: the kernels follow it there.
    const c10::Device device(c10::kCUDA, 0);
    return GeneratorOn(device,
                       policy::cuda::DeviceKernels(c10::cuda::getCurrentCUDAStream(0).stream()),
                       weights, options);
  });
}

}  // namespace aha::rollout
