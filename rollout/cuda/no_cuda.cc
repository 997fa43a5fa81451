#include "policy/cuda/device.h"
#include "rollout/cuda/generator.h"

namespace aha::rollout {

Result<std::unique_ptr<Generator>> CudaGenerator(const policy::Weights&, const GeneratorOptions&) {
  return tl::unexpected<Error>(policy::cuda::FindDevice().error());
}

}  // namespace aha::rollout
