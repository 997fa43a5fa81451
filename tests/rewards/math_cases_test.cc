// math_cases.txt, math_styles.txt and math_traps.txt: pairs of a reference and an answer, by kind
// and by the style of data sets.

#include <fstream>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "rewards/verifiers/math/judge.h"

namespace aha::rewards::math {
namespace {

const std::set<std::string> kStyles = {"gsm8k",    "math",        "aime",  "olympiadbench",
                                       "scibench", "chinese_k12", "gaokao"};

struct Case {
  std::string kind, reference, answer;
  bool same = false;
};

std::vector<Case> ReadCases() {
  std::vector<Case> cases;
  for (const char* name : {"math_cases.txt", "math_styles.txt", "math_traps.txt"}) {
    std::ifstream file(std::string(AHA_SOURCE_DIR) + "/tests/rewards/" + name);
    std::string kind;
    for (std::string line; std::getline(file, line);) {
      if (line.empty() || line.front() == '#') continue;
      const auto same = line.find(" <=> "), other = line.find(" <!> ");
      const auto at = std::min(same, other);
      if (at != std::string::npos) {
        cases.push_back({kind, line.substr(0, at), line.substr(at + 5), at == same});
      } else {
        kind = line.substr(1, line.size() - 2);
      }
    }
  }
  return cases;
}

MathVerdict Judged(const Case& c) {
  const std::string completion = "<think>so \\boxed{1}</think><answer>" + c.answer + "</answer>";
  return JudgeMath({.prompt = {}, .completion = completion, .reference = c.reference});
}

TEST(MathCases, AreJudgedAsTheySay) {
  const std::vector<Case> cases = ReadCases();
  ASSERT_GT(cases.size(), 1600U);
  for (const Case& c : cases) {
    const MathVerdict verdict = Judged(c);
    EXPECT_EQ(verdict.fault, "") << c.kind << ": " << c.reference;
    EXPECT_EQ(verdict.same, c.same)
        << c.kind << ": " << c.answer << " for " << c.reference << " (" << verdict.reason
        << "; read as " << verdict.answer << " for " << verdict.reference << ")";
  }
}

TEST(MathCases, EveryReferenceIsItsOwnAnswer) {
  for (Case c : ReadCases()) {
    c.answer = c.reference;
    EXPECT_TRUE(Judged(c).same) << c.reference;
  }
}

// Without a comma, a percent sign, a decimal point or a name, which side is the reference does not
// matter.
TEST(MathCases, ExactAnswersAreSymmetric) {
  for (const Case& c : ReadCases()) {
    const std::string both = c.reference + c.answer;
    if (both.find_first_of(",.%=$") != std::string::npos ||
        both.find("sqrt{x}") != std::string::npos || c.kind == "undefined" || c.kind == "choices" ||
        c.kind == "chinese" || c.kind == "layout" || c.kind == "constants" || c.kind == "units" ||
        c.kind == "trigonometry" || c.kind == "series" || c.kind == "absolute values" ||
        c.kind.starts_with("style of ") || kStyles.contains(c.kind)) {
      continue;
    }
    const MathVerdict turned = Judged({c.kind, c.answer, c.reference, c.same});
    if (!turned.fault.empty()) continue;
    EXPECT_EQ(turned.same, c.same) << c.answer << " for " << c.reference;
  }
}

// No locks and nothing shared: many threads say what one says.
TEST(MathCases, ManyThreadsSayTheSame) {
  const std::vector<Case> cases = ReadCases();
  std::vector<std::string> alone;
  for (const Case& c : cases)
    alone.push_back(Judged(c).reason);
  constexpr std::size_t kThreads = 4;
  std::vector<std::vector<std::string>> said(kThreads);
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([&cases, &mine = said[t]] {
      for (const Case& c : cases)
        mine.push_back(Judged(c).reason);
    });
  }
  for (std::thread& thread : threads)
    thread.join();
  for (const auto& mine : said)
    EXPECT_EQ(mine, alone);
}

}  // namespace
}  // namespace aha::rewards::math
