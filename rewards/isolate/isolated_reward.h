#pragma once
/// A plug-in that runs in processes of its own.

#include <memory>

#include "base/result.h"
#include "rewards/config.h"
#include "rewards/registry.h"

namespace aha::rewards {

/// A reward that scores with the plug-in `info.file`, one process for each thread that asks at a
/// time. A crash or a hang of a process is a CRASH or TIMEOUT failure of the item that it was at,
/// reaching the memory limit a CRASH that says so; the next item gets a new process. kNotFound: no
/// host program; kInvalidArgument: the plug-in refused its config; kTimeout: it did not come up.
Result<std::unique_ptr<Reward>> MakeIsolated(const RewardInfo& info,
                                             const Config& config,
                                             const proto::Isolation& limits);

}  // namespace aha::rewards
