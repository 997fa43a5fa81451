#include <torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp>

#include "grpo/parallel/collective.h"

namespace aha::grpo {

Result<std::unique_ptr<Group>> JoinNccl(const GroupAddress& address) {
  if (address.size == 1) return Alone();
  try {
    const auto options = c10d::ProcessGroupNCCL::Options::create();
    options->timeout = address.deadline;
    c10::cuda::set_device(static_cast<c10::DeviceIndex>(address.local_rank));
    auto backend = c10::make_intrusive<c10d::ProcessGroupNCCL>(OpenStore(address), address.rank,
                                                               address.size, options);
    backend->setBoundDeviceId(
        c10::Device(c10::kCUDA, static_cast<c10::DeviceIndex>(address.local_rank)));
    return std::make_unique<CollectiveGroup>(address, std::move(backend));
  } catch (...) {
    return tl::unexpected<Error>(
        ErrorOfCollective(address, fmt::format("joining at {}:{} with GPU {}", address.host,
                                               address.port, address.local_rank)));
  }
}

}  // namespace aha::grpo
