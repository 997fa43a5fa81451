#pragma once
/// A recipe with its defaults written out, and the hash that says whether a stage must run again.

#include <string>
#include <string_view>

#include "base/result.h"
#include "proto/recipe.pb.h"

namespace aha::pipelines {

/// The recipe with every default that is read set explicitly. Keys that are not read (read_when is
/// false, init of pretrain, a model no stage starts from) stay unset. Resolving twice changes
/// nothing.
proto::Recipe Resolved(const proto::Recipe& recipe);

/// Resolved() as protobuf text, keys in the order of their numbers: recipe.textproto of a run
/// directory. It loads again to the same text.
std::string ResolvedText(const proto::Recipe& recipe);

/// SHA-256 of what in a recipe determines what one stage makes: its resolved message and the seed;
/// no sibling stage, name, endpoint or comment, nor the number of threads, how often it commits and
/// how long it waits. Inputs (checkpoints, data, plug-ins) have hashes of their own. kNotFound for
/// a name the recipe does not have.
Result<std::string> StageHash(const proto::Recipe& recipe, std::string_view stage);

}  // namespace aha::pipelines
