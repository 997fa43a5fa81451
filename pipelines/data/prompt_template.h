#pragma once
/// How a question becomes the prompt that a model continues.

#include <span>
#include <string>
#include <string_view>

#include "base/result.h"

namespace aha::pipelines {

/// A prompt is prefix + question + suffix; braces in a question mean nothing.
struct PromptTemplate {
  std::string_view name;
  std::string_view doc;
  std::string_view prefix;
  std::string_view suffix;
  /// A completion may begin with one space or newline of the model's own ("Assistant: <think>"),
  /// which the caller takes off before scoring, or the format reward would refuse it.
  bool strips_leading_space = false;

  [[nodiscard]] std::string Apply(std::string_view question) const;
  /// `completion` as the rewards should see it.
  [[nodiscard]] std::string_view ForScoring(std::string_view completion) const;
};

/// Every template: "aha", "r1-zero" and "plain".
std::span<const PromptTemplate> PromptTemplates();

/// The template of that name; it lives as long as the program. kInvalidArgument when there is none.
Result<const PromptTemplate*> FindPromptTemplate(std::string_view name);

}  // namespace aha::pipelines
