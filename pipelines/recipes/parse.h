#pragma once
/// Recipe text to message, with the place of every key.

#include <string>
#include <string_view>

#include "base/result.h"
#include "pipelines/recipes/places.h"
#include "proto/recipe.pb.h"

namespace aha::pipelines {

struct ParsedRecipe {
  proto::Recipe recipe;
  Places places;
};

/// Parses protobuf text. Refuses unknown keys (naming the nearest valid one), values of the wrong
/// type and keys given twice, as "source:line:col: ..."; looks at no value beyond its type.
Result<ParsedRecipe> ParseRecipeText(std::string_view text, const std::string& source);

}  // namespace aha::pipelines
