// The `code` reward as it is asked by others, sandbox and all. Without one these cases are skipped.

#include <atomic>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/rewards/code_fixture.h"

namespace aha::rewards {
namespace {

using testing::HasSubstr;

class CodeReward : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    reward_ = MakeCode("slots: 2 time_limit: 2 wall_limit: 4").release();
  }
  static void TearDownTestSuite() { delete reward_; }
  void SetUp() override {
    if (reward_ == nullptr) GTEST_SKIP() << "no sandbox on this machine";
  }
  static std::string Verdict(std::string_view completion, const std::string& reference) {
    const Outcome outcome = Ask(*reward_, completion, reference);
    EXPECT_EQ(outcome.has_score() && outcome.score() == 1, VerdictOf(outcome) == "AC")
        << outcome.ShortDebugString();
    last_ = outcome;
    return VerdictOf(outcome);
  }
  static const Reward* reward_;
  static Outcome last_;
};
const Reward* CodeReward::reward_ = nullptr;
Outcome CodeReward::last_;

TEST_F(CodeReward, JudgesPythonByOutput) {
  const std::string sum = OneTest("python", "2 3\n", "5\n");
  EXPECT_EQ(Verdict("```python\na, b = map(int, input().split())\nprint(a + b)\n```", sum), "AC");
  EXPECT_EQ(Verdict("```python\nprint(6)\n```", sum), "WA");
  EXPECT_THAT(last_.reason(), HasSubstr("test 1 of 1: word 1 is '6' instead of '5'"));
  EXPECT_EQ(Verdict("```python\nprint(1 / 0)\n```", sum), "RE");
  EXPECT_THAT(last_.reason(), HasSubstr("ZeroDivisionError"));
  EXPECT_EQ(Verdict("```python\nprint(\n```", sum), "CE");
  EXPECT_EQ(Verdict("<think>x</think><answer>print(sum(map(int, input().split())))</answer>", sum),
            "AC");
}

TEST_F(CodeReward, GivesPythonWhatProgramsExpect) {
  const std::string program =
      "import sys, math, collections, itertools, functools, heapq, bisect, re, json, random, "
      "string\n"
      "from dataclasses import dataclass\n"
      "@dataclass\nclass A:\n    x: int\n"
      "if __name__ == '__main__':\n"
      "    data = open('/dev/stdin').read().split() + open(0).read().split()\n"
      "    sys.setrecursionlimit(10000)\n"
      "    print(A(int(data[0])).x, '汉')\n"
      "    exit()\n";
  EXPECT_EQ(Verdict(program, OneTest("python", "7", "7 汉")), "AC") << last_.reason();
}

TEST_F(CodeReward, JudgesCppByOutput) {
  const std::string sum = OneTest("cpp", "2 3\n", "5\n");
  EXPECT_EQ(Verdict("```cpp\n#include <bits/stdc++.h>\nint main(){int "
                    "a,b;std::cin>>a>>b;std::cout<<a+b;}\n```",
                    sum),
            "AC");
  EXPECT_EQ(Verdict("```cpp\nint main(){return x;}\n```", sum), "CE");
  EXPECT_THAT(last_.reason(), HasSubstr("'x' was not declared"));
  EXPECT_EQ(Verdict("int main(){return 1;}", sum), "RE");
  EXPECT_EQ(Verdict("int main(){volatile int*p=0;*p=1;}", sum), "RE");
  EXPECT_EQ(Verdict("int main(){for(;;);}", sum), "TLE");
}

std::string Calls(const std::string& language, const std::string& calls) {
  return R"({"language": ")" + language + R"(", "function": "f", "calls": )" + calls + "}";
}

TEST_F(CodeReward, JudgesPythonByWhatAFunctionReturns) {
  const std::string echo = Calls(
      "python",
      R"([{"args": [1, 2.5, "é", [true, null], {"k": [1]}], "returns": [1, 2.5, "é", [true, null], {"k": [1]}]},
          {"args": [0, 0, 0, 0, 123456789012345678901234567890], "returns": [0, 0, 0, 0, 123456789012345678901234567890]}])");
  EXPECT_EQ(Verdict("def f(*a): return a", echo), "AC") << last_.reason();
  EXPECT_EQ(Verdict("def f(*a): return list(a)", echo), "AC");
  EXPECT_EQ(Verdict("def f(*a): return a[:4]", echo), "WA");
  EXPECT_EQ(Verdict("def f(a): return a", echo), "RE");
  EXPECT_EQ(Verdict("def f(*a):\n    print('noise')\n    return a", echo), "AC");
  EXPECT_EQ(Verdict("f = lambda *a: a\nif __name__ == '__main__': input()", echo), "AC");
}

TEST_F(CodeReward, JudgesCppByWhatAFunctionReturns) {
  const std::string head = "#include <bits/stdc++.h>\nusing namespace std;\n";
  const std::string pairs =
      Calls("cpp", R"([{"args": [[3, 1, 2], "ab"], "returns": [[1, 2, 3], "ba"]},
                                              {"args": [[], ""], "returns": [[], ""]}])");
  EXPECT_EQ(Verdict(head + "pair<vector<int>, string> f(vector<int>& v, const string& s) { "
                           "sort(v.begin(), v.end()); "
                           "return {v, string(s.rbegin(), s.rend())}; }\nint main() {}\n",
                    pairs),
            "AC")
      << last_.reason();
  EXPECT_EQ(
      Verdict(head + "pair<vector<int>, string> f(vector<int> v, string s) { return {v, s}; }\n",
              pairs),
      "WA");
  const std::string kinds = Calls("cpp", R"([{"args": [true, 2.5, -9007199254740993, {"a": 1}, "c"],
                                               "returns": [false, 5.0, -9007199254740994, {"a": 2}, "c"]}])");
  EXPECT_EQ(Verdict(head + "#define int long long\ntuple<bool, double, int, map<string, int>, "
                           "char> f(bool b, double d, "
                           "int i, map<string, int> m, char c) { m[\"a\"]++; return {!b, 2 * d, i "
                           "- 1, m, c}; }\n",
                    kinds),
            "AC")
      << last_.reason();
  EXPECT_EQ(Verdict(head + "int f(int x) { return x; }\n", kinds), "RE");
  EXPECT_EQ(Verdict(head + "int g(int x) { return x; }\n", kinds), "CE");
}

TEST_F(CodeReward, LargeArgumentsDoNotCountAsTheProgramsFiles) {
  const auto reward = MakeCode("files_mb: 1 slots: 1");
  const std::string text(3 << 20, 'x');
  const std::string calls =
      Calls("python", R"([{"args": [")" + text + R"("], "returns": 3145728}])");
  EXPECT_EQ(VerdictOf(Ask(*reward, "f = len", calls)), "AC");
}

TEST_F(CodeReward, BadReferencesAreFailuresWithoutAVerdict) {
  for (const std::string reference :
       {"", "42", R"({"language": "python"})", R"({"language": "python", "tests": [{}]})"}) {
    const Outcome outcome = Ask(*reward_, "print(1)", reference);
    ASSERT_TRUE(outcome.has_failure());
    EXPECT_EQ(outcome.failure().kind(), proto::Failure::BAD_REFERENCE);
    EXPECT_EQ(VerdictOf(outcome), "");
  }
}

TEST_F(CodeReward, PaysTheSharePassedWhenAsked) {
  const auto reward = MakeCode("score: 'fraction' slots: 1");
  const std::string reference =
      R"({"language": "python", "tests": [{"stdin": "1", "stdout": "1"}, {"stdin": "2", "stdout": "2"},
          {"stdin": "3", "stdout": "9"}, {"stdin": "4", "stdout": "4"}]})";
  const Outcome outcome = Ask(*reward, "print(input())", reference);
  EXPECT_EQ(outcome.score(), 0.75);
  EXPECT_EQ(VerdictOf(outcome), "WA");
  EXPECT_EQ(Ask(*reward_, "print(input())", reference).score(), 0);
}

TEST_F(CodeReward, ComparesAsConfigured) {
  const auto exact = MakeCode("comparison: 'exact' slots: 1");
  EXPECT_EQ(VerdictOf(Ask(*exact, "print(1)", OneTest("python", "", "1"))), "WA");
  EXPECT_EQ(VerdictOf(Ask(*exact, "print(1)", OneTest("python", "", "1\n"))), "AC");
  const auto near = MakeCode("comparison: 'float' tolerance: 0.01 slots: 1");
  EXPECT_EQ(VerdictOf(Ask(*near, "print(3.1416)", OneTest("python", "", "3.14"))), "AC");
}

TEST_F(CodeReward, BoundsTheTimeOfAllTestCasesTogether) {
  const auto reward = MakeCode("item_limit: 1 time_limit: 1 wall_limit: 1 slots: 1");
  nlohmann::json reference = {{"language", "python"}};
  for (int i = 0; i < 20; ++i)
    reference["tests"].push_back({{"stdin", ""}, {"stdout", ""}});
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(VerdictOf(Ask(*reward, "import time\ntime.sleep(0.3)", reference.dump())), "TLE");
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::milliseconds(1400));
}

TEST_F(CodeReward, WaitsForASandboxNoLongerThanConfigured) {
  const auto reward = MakeCode("slots: 1 wait_limit: 0.1 wall_limit: 1");
  std::thread other(
      [&] { Ask(*reward, "import time\ntime.sleep(0.7)", OneTest("python", "", "")); });
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  const Outcome outcome = Ask(*reward, "print(1)", OneTest("python", "", "1"));
  other.join();
  ASSERT_TRUE(outcome.has_failure());
  EXPECT_EQ(outcome.failure().kind(), proto::Failure::TIMEOUT);
  EXPECT_EQ(VerdictOf(outcome), "IE");
}

TEST_F(CodeReward, MayBeAskedByManyThreads) {
  std::atomic<int> right{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 5; ++i) {
        const std::string n = std::to_string(t * 100 + i);
        if (VerdictOf(Ask(*reward_, "print(input())", OneTest("python", n, n))) == "AC") ++right;
      }
    });
  }
  for (auto& thread : threads)
    thread.join();
  EXPECT_EQ(right, 40);
}

TEST_F(CodeReward, RefusesConfigThatMakesNoSense) {
  const Registry registry = Registry::BuiltIns();
  for (const char* config :
       {"comparison: 'fuzzy'", "score: 'most'", "language: 'rust'", "cpp_standard: 'c++3'",
        "time_limit: 0", "memory_mb: 1", "timelimit: 1"})
    EXPECT_FALSE(registry.Make("code", config).has_value()) << config;
}

}  // namespace
}  // namespace aha::rewards
