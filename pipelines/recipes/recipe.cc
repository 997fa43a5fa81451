#include "pipelines/recipes/recipe.h"

#include "base/whole_file.h"
#include "pipelines/recipes/overrides.h"
#include "pipelines/recipes/parse.h"
#include "pipelines/recipes/validate.h"

namespace aha::pipelines {

namespace fs = std::filesystem;

Result<LoadedRecipe> ParseRecipe(std::string_view text,
                                 const std::string& source,
                                 const fs::path& folder,
                                 const std::vector<std::string>& overrides) {
  AHA_ASSIGN(ParsedRecipe parsed, ParseRecipeText(text, source));
  for (const std::string& change : overrides) {
    AHA_TRY(ApplyOverride(change, parsed.recipe, parsed.places));
  }
  Problems problems(parsed.places);
  CheckKeys(parsed.recipe, problems);
  CheckStages(parsed.recipe, folder, problems);
  AHA_TRY(problems.ToStatus());
  return LoadedRecipe{std::move(parsed.recipe), source, folder};
}

Result<LoadedRecipe> LoadRecipe(const fs::path& file, const std::vector<std::string>& overrides) {
  AHA_ASSIGN(const std::string text, ReadFile(file));
  return ParseRecipe(text, file.string(), file.parent_path(), overrides);
}

fs::path RecipePath(const LoadedRecipe& loaded, const fs::path& path) {
  return loaded.folder / path;
}

}  // namespace aha::pipelines
