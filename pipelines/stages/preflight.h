#pragma once
/// What can be known to be wrong before the first stage starts, and would else show hours later.

#include "base/result.h"
#include "proto/recipe.pb.h"
#include "rewards/registry.h"

namespace aha::pipelines {

/// kInvalidArgument, naming stage and key, for a task family that does not exist and, where rewards
/// are scored in this process, for a reward that `registry` lacks or whose config it refuses.
Status CheckNames(const proto::Recipe& recipe, const rewards::Registry& registry);

}  // namespace aha::pipelines
