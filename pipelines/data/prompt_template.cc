#include "pipelines/data/prompt_template.h"

#include <array>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace aha::pipelines {
namespace {

constexpr std::array<PromptTemplate, 3> kTemplates = {{
    {"aha", "the embedded world's: a user's line and an assistant's",
     "User: ", "\nAssistant:", false},
    // Structure only, no advice on how to reason: DeepSeek-R1 (arXiv:2501.12948), section 2.2.
    {"r1-zero", "DeepSeek-R1's for base models: asks for <think> and <answer>",
     "A conversation between a User and an Assistant: the user asks a question and the Assistant "
     "solves it. The assistant first reasons about it in its mind and then gives the user the "
     "answer. The reasoning and the answer are put inside <think> </think> and <answer> </answer> "
     "tags, in this order, that is, <think> the reasoning is here </think> <answer> the answer is "
     "here </answer>. User: ",
     ". Assistant:", true},
    {"plain", "the question and a newline", "", "\n", false},
}};

}  // namespace

std::string PromptTemplate::Apply(std::string_view question) const {
  return fmt::format("{}{}{}", prefix, question, suffix);
}

std::string_view PromptTemplate::ForScoring(std::string_view completion) const {
  const bool strip = strips_leading_space && !completion.empty() &&
                     (completion.front() == ' ' || completion.front() == '\n');
  return completion.substr(strip ? 1 : 0);
}

std::span<const PromptTemplate> PromptTemplates() {
  return kTemplates;
}

Result<const PromptTemplate*> FindPromptTemplate(std::string_view name) {
  std::vector<std::string_view> known;
  for (const PromptTemplate& entry : kTemplates) {
    if (entry.name == name) return &entry;
    known.push_back(entry.name);
  }
  return Fail(Code::kInvalidArgument, "{}: no such prompt template; known: {}", name.substr(0, 64),
              fmt::join(known, ", "));
}

}  // namespace aha::pipelines
