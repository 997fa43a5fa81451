#pragma once
/// `aha explain KEY`: what a key does, from the schema's own comments and options.

#include <string>
#include <string_view>

#include "base/result.h"

namespace aha::pipelines {

/// Comment, type, default, range, allowed values, source and condition of a key. `key` may be a
/// bare name (`clip_low`; every message that has it is listed), the end of a path (`rl.clip_low`,
/// `optimizer.learning_rate`), a whole path (`stage.rl.clip_low`), or a message (`Rl`, `rl`), of
/// which the keys are listed. kNotFound names the nearest key.
Result<std::string> Explain(std::string_view key);

}  // namespace aha::pipelines
