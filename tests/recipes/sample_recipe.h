#pragma once
/// A small valid recipe that the tests of this folder change one thing of.

#include <string>
#include <string_view>

#include "pipelines/recipes/recipe.h"

namespace aha::pipelines {

inline constexpr std::string_view kSample = R"(name: "sample"
stage {
  name: "cold-data"
  reject { prompts { task { family: "chain" } } keep { reward: "math" } }
}
stage {
  name: "cold"
  sft { from: "cold-data" }
}
stage {
  name: "zero"
  init: "cold"
  rl {
    prompts { task { family: "chain" } }
    reward { name: "math" }
    reward { name: "format" weight: 0.5 }
  }
}
)";

inline Result<LoadedRecipe> Parse(std::string_view text,
                                  const std::vector<std::string>& overrides = {}) {
  return ParseRecipe(text, "r.textproto", "/nowhere", overrides);
}

/// The message of the refusal, or "" when the recipe loads.
inline std::string Refusal(std::string_view text, const std::vector<std::string>& overrides = {}) {
  const auto loaded = Parse(text, overrides);
  return loaded ? "" : loaded.error().message;
}

}  // namespace aha::pipelines
