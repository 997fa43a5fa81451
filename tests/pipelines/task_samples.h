#pragma once
/// What the tests of the tasks share: samples of every family, and text taken to pieces.

#include <cctype>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "pipelines/tasks/problem.h"

namespace aha::pipelines {

inline Split SplitFor(std::uint32_t band) {
  return band == 3 ? Split::kTest : Split::kTrain;
}

/// Problem `k` of a kind; fails the test when there is none.
inline Problem Sample(const TaskSpec& spec, std::uint64_t k, std::uint64_t seed = 1) {
  const Result<Problem> made =
      MakeProblem(spec, SplitFor(spec.band), KeyedRandom(seed, "test").With(k));
  EXPECT_TRUE(made.has_value()) << (made ? "" : made.error().message);
  return made.value_or(Problem{});
}

/// Every family, band and language.
inline std::vector<TaskSpec> AllSpecs() {
  std::vector<TaskSpec> specs;
  for (const FamilyInfo& info : TaskFamilies()) {
    for (const std::uint32_t band : {1U, 2U, 3U}) {
      for (const char* language : {"en", "zh"})
        specs.push_back({std::string(info.name), band, language});
    }
  }
  return specs;
}

inline bool IsNumber(const std::string& token) {
  return !token.empty() && std::isdigit(static_cast<unsigned char>(token[0])) != 0;
}

/// Runs of digits, of ASCII letters and of other characters beyond ASCII; ASCII punctuation one by
/// one, Chinese punctuation as its own tokens; blanks separate.
inline std::vector<std::string> Tokens(std::string_view text) {
  static constexpr std::string_view kMarks[] = {"。", "，", "：", "？"};
  const auto kind = [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return std::isdigit(byte) != 0 ? 1 : std::isalpha(byte) != 0 ? 2 : byte >= 0x80 ? 3 : 0;
  };
  std::vector<std::string> tokens;
  int last = 0;
  while (!text.empty()) {
    std::size_t size = 1;
    int now = kind(text[0]);
    for (const std::string_view mark : kMarks) {
      if (text.starts_with(mark)) {
        size = mark.size();
        now = 0;
      }
    }
    if (text[0] == ' ') {
      now = 0;
    } else if (now != 0 && now == last) {
      tokens.back() += text.substr(0, size);
    } else {
      tokens.emplace_back(text.substr(0, size));
    }
    last = now;
    text.remove_prefix(size);
  }
  return tokens;
}

inline std::vector<int> NumbersIn(std::string_view text) {
  std::vector<int> numbers;
  for (const std::string& token : Tokens(text)) {
    if (IsNumber(token)) numbers.push_back(std::stoi(token));
  }
  return numbers;
}

}  // namespace aha::pipelines
