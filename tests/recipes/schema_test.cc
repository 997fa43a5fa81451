// recipe.proto keeps the promises that the loader builds on.
#include "pipelines/recipes/schema.h"

#include <cmath>

#include <gtest/gtest.h>

namespace aha::pipelines {
namespace {

TEST(RecipeSchema, EveryConditionParsesAndNamesASibling) {
  int conditions = 0;
  for (const auto& [path, key] : AllKeyPaths()) {
    for (const Condition& condition : ConditionsOf(*key)) {  // aborts on a bad one
      ++conditions;
      EXPECT_NE(condition.key, nullptr) << path;
    }
  }
  EXPECT_GE(conditions, 4);
}

TEST(RecipeSchema, EverySingleValueHasADefaultOrIsRequired) {
  for (const auto& [path, key] : AllKeyPaths()) {
    if (IsMessage(*key) || key->is_repeated()) continue;
    EXPECT_NE(key->has_default_value(), OptionsOf(*key).required()) << path;
  }
}

TEST(RecipeSchema, DefaultsObeyTheirOwnRanges) {
  for (const auto& [path, key] : AllKeyPaths()) {
    if (!IsNumber(*key) || key->is_repeated()) continue;
    const auto* prototype =
        google::protobuf::MessageFactory::generated_factory()->GetPrototype(key->containing_type());
    const double value = NumberOf(*prototype, *key);
    const proto::KeyOptions& options = OptionsOf(*key);
    EXPECT_TRUE(!options.has_min() || value >= options.min()) << path;
    EXPECT_TRUE(!options.has_max() || value <= options.max()) << path;
  }
}

TEST(RecipeSchema, UsesOnlyTypesThatTheLoaderKnows) {
  for (const auto& [path, key] : AllKeyPaths()) {
    const auto type = key->cpp_type();
    EXPECT_TRUE(IsMessage(*key) || IsNumber(*key) || type == Field::CPPTYPE_BOOL ||
                type == Field::CPPTYPE_STRING)
        << path;
  }
}

}  // namespace
}  // namespace aha::pipelines
