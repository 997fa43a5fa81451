#pragma once
/// Inner interface: a generator of given kernels on a given device.

#include <memory>

#include <c10/core/Device.h>

#include "policy/kernels/cuda/kernels.h"
#include "rollout/cuda/generator.h"

namespace aha::rollout {

std::unique_ptr<Generator> GeneratorOn(c10::Device device,
                                       std::unique_ptr<policy::cuda::Kernels> kernels,
                                       const policy::Weights& weights,
                                       const GeneratorOptions& options);

}  // namespace aha::rollout
