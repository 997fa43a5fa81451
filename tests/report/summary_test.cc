#include "pipelines/report/summary.h"

#include <sstream>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "pipelines/report/markup.h"
#include "tests/report/sample_report.h"

namespace aha::pipelines {
namespace {

using testing::HasSubstr;

std::size_t Widest(const std::string& text) {
  std::istringstream lines(text);
  std::size_t widest = 0;
  for (std::string line; std::getline(lines, line);)
    widest = std::max(widest, DisplayWidth(line));
  return widest;
}

TEST(RenderClaimsText, PrintsVerdictsFiguresAndAlignedStages) {
  const std::vector<Claim> claims = {{"a", "A holds.", true, "1 to 2"}, {"b", "", false, "3"}};
  std::vector<StageRow> stages(2);
  stages[0].name = "base";
  stages[0].pass_at_1 = {0.134, 0.02, 0.004};
  stages[1].name = "r1";
  stages[1].pass_at_1 = {1, 0.02, 0.01};
  stages[1].thinking_tokens = {43.4, 1, kUnknown};
  EXPECT_EQ(RenderClaimsText(claims, stages),
            "Claims: 1 of 2 kept\n"
            "  kept      a: A holds.\n"
            "            1 to 2\n"
            "  NOT KEPT  b\n"
            "            3\n"
            "\n"
            "Stages: per cent of held-out problems, thinking in tokens; ± standard deviation "
            "between seeds\n"
            "  stage      pass@1  hardest  general  well-formed  language  thinking\n"
            "  base    13.4 ±0.4        –        –            –         –         –\n"
            "  r1     100.0 ±1.0        –        –            –         –        43\n");
}

TEST(RenderClaimsText, StaysWithinAHundredColumns) {
  Report report = SampleReport();
  report.claims.push_back({std::string(300, 'n'),
                           "一" + std::string(90, ' ') + std::string(250, 's'), false,
                           std::string(500, 'f')});
  report.stages[0].name = std::string(200, 'z');
  report.stages.push_back(
      {"big", "", {1, 1, 1}, {1, 1, 1}, {1, 1, 1}, {1, 1, 1}, {1, 1, 1}, {123456, 1, 12345}, {}});
  EXPECT_LE(Widest(RenderClaimsText(report.claims, report.stages)), 100U);
  EXPECT_LE(Widest(RenderClaimsText({}, SparseReport().stages)), 100U);
}

TEST(RenderClaimsText, LetsNoControlCharacterReachTheTerminal) {
  const std::string text = RenderClaimsText({{"a\x1B[2J", "s\n\tt", true, "f\r"}}, {});
  EXPECT_EQ(text.find('\x1B'), std::string::npos);
  EXPECT_THAT(text, HasSubstr(": s t\n"));
}

TEST(RenderClaimsText, PrintsNothingForNothing) {
  EXPECT_EQ(RenderClaimsText({}, {}), "");
}

TEST(ClaimsJson, HasTheContractsFields) {
  const nlohmann::json claims = ClaimsJson({{"a", "A holds.", true, "f\xFF"}});
  ASSERT_EQ(claims.size(), 1U);
  EXPECT_EQ(claims[0]["name"], "a");
  EXPECT_EQ(claims[0]["kept"], true);
  EXPECT_EQ(claims[0]["figures"], "f\xEF\xBF\xBD");
  EXPECT_NO_THROW(claims.dump());
}

TEST(StagesJson, HasTheContractsFieldsAndNullForTheUnknown) {
  StageRow row;
  row.name = "r1-zero";
  row.pass_at_1.mean = 0.5;
  row.well_formed.mean = 0.75;
  row.thinking_tokens.mean = 52.5;
  const nlohmann::json stages = StagesJson({row});
  EXPECT_EQ(stages["r1-zero"]["pass_at_1"], 0.5);
  EXPECT_EQ(stages["r1-zero"]["well_formed"], 0.75);
  EXPECT_EQ(stages["r1-zero"]["thinking_tokens"], 52.5);
  EXPECT_TRUE(stages["r1-zero"].at("language").is_null());
  EXPECT_TRUE(StagesJson({}).is_object());
}

}  // namespace
}  // namespace aha::pipelines
