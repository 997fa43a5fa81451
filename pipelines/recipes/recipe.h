#pragma once
/// Recipes, read strictly (law 7): what loads has no unknown key, no key that nothing reads, no
/// value out of range and no reference to a stage that is not there.

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "proto/recipe.pb.h"

namespace aha::pipelines {

struct LoadedRecipe {
  proto::Recipe recipe;          ///< as written, overrides applied; defaults not filled in
  std::string source;            ///< the file, as messages name it
  std::filesystem::path folder;  ///< what the recipe's relative paths start from
};

/// Reads a recipe file, applies the overrides ("zero.steps=40", see overrides.h) in their order,
/// and checks the whole. kNotFound when there is no such file; kInvalidArgument otherwise, the
/// message one line a problem: "recipe.textproto:7:5: unknown key `stpes` in stage.rl; did you mean
/// `steps`?"
Result<LoadedRecipe> LoadRecipe(const std::filesystem::path& file,
                                const std::vector<std::string>& overrides);

/// The same from text in memory (embedded recipes); `source` is what messages name, `folder` what
/// relative paths start from.
Result<LoadedRecipe> ParseRecipe(std::string_view text,
                                 const std::string& source,
                                 const std::filesystem::path& folder,
                                 const std::vector<std::string>& overrides);

/// `path` as a recipe means it: relative to the recipe's folder.
std::filesystem::path RecipePath(const LoadedRecipe& loaded, const std::filesystem::path& path);

}  // namespace aha::pipelines
