// Against IFEval's own checks: tests/golden/make_instructions_golden.py made the verdicts.
#include <map>
#include <sstream>
#include <string>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/whole_file.h"
#include "rewards/verifiers/instructions/instructions.h"

namespace aha::rewards::instructions {
namespace {

TEST(InstructionsGolden, AgreeWithIfeval) {
  const auto file = ReadFile(AHA_SOURCE_DIR "/tests/rewards/golden/instructions.jsonl");
  ASSERT_TRUE(file.has_value());
  std::istringstream lines(*file);
  std::map<std::string, int> counts;
  for (std::string line; std::getline(lines, line);) {
    const auto golden = nlohmann::json::parse(line);
    const std::string kind = golden["kind"];
    const std::string text = golden["text"];
    const auto kept = Kinds().at(kind)(text, golden["arguments"]);
    ASSERT_TRUE(kept.has_value()) << line << kept.error().message;
    EXPECT_EQ(*kept, golden["kept"].get<bool>()) << line;
    ++counts[kind];
  }
  EXPECT_EQ(counts.size(), 21U);
  for (const auto& [kind, count] : counts)
    EXPECT_GE(count, 13) << kind;
}

}  // namespace
}  // namespace aha::rewards::instructions
