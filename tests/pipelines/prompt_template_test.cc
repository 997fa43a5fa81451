#include "pipelines/data/prompt_template.h"

#include <string>

#include <gtest/gtest.h>

namespace aha::pipelines {
namespace {

TEST(PromptTemplate, PutsTheQuestionIn) {
  EXPECT_EQ(FindPromptTemplate("aha").value()->Apply("What is {} ?"),
            "User: What is {} ?\nAssistant:");
  EXPECT_EQ(FindPromptTemplate("plain").value()->Apply("Q"), "Q\n");
  const std::string zero = FindPromptTemplate("r1-zero").value()->Apply("{question}");
  EXPECT_TRUE(zero.ends_with(" User: {question}. Assistant:")) << zero;
  for (const char* tag : {"<think>", "</think>", "<answer>", "</answer>"}) {
    EXPECT_NE(zero.find(tag), std::string::npos) << tag;
  }
}

TEST(PromptTemplate, TakesOneLeadingBlankOffWhereThePromptInvitesIt) {
  const PromptTemplate& zero = *FindPromptTemplate("r1-zero").value();
  EXPECT_EQ(zero.ForScoring(" <think>"), "<think>");
  EXPECT_EQ(zero.ForScoring("\n<think>"), "<think>");
  EXPECT_EQ(zero.ForScoring("  <think>"), " <think>");
  EXPECT_EQ(zero.ForScoring(""), "");
  EXPECT_EQ(FindPromptTemplate("aha").value()->ForScoring(" <think>"), " <think>");
}

TEST(PromptTemplate, RefusesUnknownNames) {
  EXPECT_EQ(FindPromptTemplate("r1").error().message,
            "r1: no such prompt template; known: aha, r1-zero, plain");
}

}  // namespace
}  // namespace aha::pipelines
