#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>

#include "grpo/parallel/collective.h"

namespace aha::grpo {

Result<std::unique_ptr<Group>> JoinGloo(const GroupAddress& address) {
  if (address.size == 1) return Alone();
  try {
    const auto options = c10d::ProcessGroupGloo::Options::create(address.deadline);
    options->devices.push_back(address.host == "127.0.0.1" || address.host == "localhost"
                                   ? c10d::ProcessGroupGloo::createDeviceForHostname("127.0.0.1")
                                   : c10d::ProcessGroupGloo::createDefaultDevice());
    return std::make_unique<CollectiveGroup>(
        address, c10::make_intrusive<c10d::ProcessGroupGloo>(OpenStore(address), address.rank,
                                                             address.size, options));
  } catch (...) {
    return tl::unexpected<Error>(
        ErrorOfCollective(address, fmt::format("joining at {}:{}", address.host, address.port)));
  }
}

}  // namespace aha::grpo
