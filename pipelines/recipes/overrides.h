#pragma once
/// `--set KEY=VALUE`: one key of a recipe changed from the command line.

#include <string>

#include "base/result.h"
#include "pipelines/recipes/places.h"
#include "proto/recipe.pb.h"

namespace aha::pipelines {

/// Applies "KEY=VALUE". KEY is a key of the recipe itself (`model=DIR`, `seed=3`), or a stage's
/// name and a key of its kind (`zero.steps=40`, `zero.optimizer.learning_rate=1e-4`,
/// `zero.reward[1].weight=0.5`), or `zero.init=DIR`. Text is taken as it stands, without quotes.
/// A repeated key without an index takes a comma-separated list in place of its whole value; an
/// empty VALUE empties it.
///
/// The override becomes the key's place in `places`. Errors: kInvalidArgument, "--set KEY=VALUE:
/// ...".
Status ApplyOverride(const std::string& override_text, proto::Recipe& recipe, Places& places);

}  // namespace aha::pipelines
