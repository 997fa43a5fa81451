#pragma once
/// The refusals of law 7 (a recipe means what it says).

#include <filesystem>

#include "pipelines/recipes/places.h"
#include "proto/recipe.pb.h"

namespace aha::pipelines {

/// What the schema's options say key by key: required keys, ranges, allowed values, NaN and
/// infinity, keys that are set though nothing reads them.
void CheckKeys(const proto::Recipe& recipe, Problems& problems);

/// What no single key shows: stage names and references, choices of exactly one, shapes that do not
/// fit together. `folder` is what relative paths start from.
void CheckStages(const proto::Recipe& recipe,
                 const std::filesystem::path& folder,
                 Problems& problems);

/// Whether some stage of the recipe starts from its `model`.
bool ReadsModel(const proto::Recipe& recipe);

}  // namespace aha::pipelines
