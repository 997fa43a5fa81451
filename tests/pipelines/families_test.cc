// Every family's answers, worked out anew from the words of the question alone.

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "pipelines/tasks/problem.h"
#include "pipelines/tasks/solver.h"
#include "tests/pipelines/task_samples.h"

namespace aha::pipelines {
namespace {

bool Contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

std::string SolveSigned(const std::string& question, const std::set<std::string>& minus) {
  int sum = 0;
  std::string before;
  for (const std::string& token : Tokens(question)) {
    if (IsNumber(token)) sum += minus.contains(before) ? -std::stoi(token) : std::stoi(token);
    before = token;
  }
  return std::to_string(sum);
}

std::string SolveClock(const std::string& question) {
  int hour = 0;
  std::string last;
  for (const std::string& token : Tokens(question)) {
    if (IsNumber(token)) {
      const int size = std::stoi(token);
      if (hour == 0) {
        hour = size;
      } else {
        for (int i = 0; i < size; ++i) {
          if (Contains(last, "back") || Contains(last, "后退")) {
            hour = hour == 1 ? 12 : hour - 1;
          } else {
            EXPECT_TRUE(Contains(last, "forward") || Contains(last, "前进")) << question;
            hour = hour == 12 ? 1 : hour + 1;
          }
        }
      }
    }
    last = token;
  }
  return std::to_string(hour);
}

std::string SolveSwap(const std::string& question) {
  std::string row;
  for (const std::string& token : Tokens(question)) {
    if (token.size() == 1 && std::isupper(static_cast<unsigned char>(token[0])) != 0) row += token;
  }
  const std::vector<int> numbers = NumbersIn(question);
  EXPECT_EQ(numbers.size() % 2, 1U) << question;
  for (std::size_t i = 0; i + 1 < numbers.size(); i += 2) {
    std::swap(row.at(static_cast<std::size_t>(numbers[i]) - 1),
              row.at(static_cast<std::size_t>(numbers[i + 1]) - 1));
  }
  return std::string(1, row.at(static_cast<std::size_t>(numbers.back()) - 1));
}

std::string SolveCount(const std::string& question) {
  std::vector<std::string> symbols;
  for (const std::string& token : Tokens(question)) {
    const auto c = static_cast<unsigned char>(token[0]);
    if (token.size() == 1 && (std::isupper(c) != 0 || std::isdigit(c) != 0))
      symbols.push_back(token);
  }
  return std::to_string(std::count(symbols.begin() + 1, symbols.end(), symbols.at(0)));
}

std::string SolveLargest(const std::string& question) {
  const std::vector<int> numbers = NumbersIn(question);
  const bool largest = Contains(question, "largest") || Contains(question, "最大");
  EXPECT_NE(largest, Contains(question, "smallest") || Contains(question, "最小")) << question;
  return std::to_string(largest ? *std::max_element(numbers.begin(), numbers.end())
                                : *std::min_element(numbers.begin(), numbers.end()));
}

// The list of words after the colon.
std::vector<std::string> ListedWords(const std::string& question) {
  std::vector<std::string> words;
  bool listed = false;
  for (const std::string& token : Tokens(question)) {
    if (token == "." || token == "?" || token == "。" || token == "？") listed = false;
    if (listed) words.push_back(token);
    if (token == ":" || token == "：") listed = true;
  }
  return words;
}

std::string SolveRepeat(const std::string& question) {
  std::string text;
  for (const std::string& word : ListedWords(question))
    text += (text.empty() ? "" : " ") + word;
  return text;
}

std::string SolvePick(const std::string& question) {
  return ListedWords(question).at(static_cast<std::size_t>(NumbersIn(question).at(0)) - 1);
}

const std::map<std::string, std::string>& Dictionary() {
  static const std::map<std::string, std::string> dictionary = {
      {"dog", "狗"},   {"cat", "猫"},    {"bird", "鸟"},   {"duck", "鸭"},  {"bear", "熊"},
      {"frog", "蛙"},  {"tiger", "虎"},  {"rabbit", "兔"}, {"ball", "球"},  {"cup", "杯"},
      {"box", "盒"},   {"pear", "梨"},   {"bowl", "碗"},   {"bag", "包"},   {"egg", "蛋"},
      {"melon", "瓜"}, {"red", "红"},    {"blue", "蓝"},   {"green", "绿"}, {"black", "黑"},
      {"white", "白"}, {"yellow", "黄"}, {"gray", "灰"},   {"brown", "棕"}, {"big", "大"},
      {"small", "小"}, {"good", "好"},   {"bad", "坏"},    {"odd", "怪"},   {"pretty", "美"},
      {"two", "两"},   {"three", "三"},  {"four", "四"},   {"five", "五"},  {"six", "六"},
      {"seven", "七"}, {"eight", "八"},  {"nine", "九"},   {"ten", "十"}};
  return dictionary;
}

// The Chinese of an English phrase, measure words left out.
std::string PlainChinese(const std::string& english) {
  std::string chinese;
  for (std::string word : Tokens(english)) {
    if (!Dictionary().contains(word))
      word = word.substr(0, word.size() - (word == "boxes" ? 2 : 1));
    EXPECT_TRUE(Dictionary().contains(word)) << english;
    chinese += Dictionary().at(word);
  }
  return chinese;
}

std::string WithoutMeasureWords(std::string chinese) {
  for (const std::string_view word : {"只", "个"}) {
    if (const auto at = chinese.find(word); at != std::string::npos) chinese.erase(at, word.size());
  }
  return chinese;
}

// Question and answer must be each other's translation.
bool Translates(const Problem& problem) {
  const bool from_english = problem.language == "en";
  std::string asked = problem.question;
  for (const std::string_view frame :
       {"How do you say ", "Put into Chinese : ", "What is ", " in Chinese ?", " .",
        " 用英语怎么说？", "说成英语： ", " 。", " 的英语是什么？"}) {
    if (const auto at = asked.find(frame); at != std::string::npos) asked.erase(at, frame.size());
  }
  const std::string& english = from_english ? asked : problem.answer;
  const std::string& chinese = from_english ? problem.answer : asked;
  return PlainChinese(english) == WithoutMeasureWords(chinese);
}

std::string SolveAnew(const Problem& problem) {
  const std::string& family = problem.family;
  if (family == "chain") return SolveSigned(problem.question, {"-"});
  if (family == "shop") {
    return SolveSigned(problem.question, {"eats", "sells", "loses", "吃了", "卖了", "丢了"});
  }
  if (family == "clock") return SolveClock(problem.question);
  if (family == "swap") return SolveSwap(problem.question);
  if (family == "count") return SolveCount(problem.question);
  if (family == "largest") return SolveLargest(problem.question);
  if (family == "repeat") return SolveRepeat(problem.question);
  if (family == "pick") return SolvePick(problem.question);
  return Translates(problem) ? problem.answer : "not a translation";
}

class FamilyTest : public testing::TestWithParam<TaskSpec> {};

TEST_P(FamilyTest, QuestionsHaveTheirAnswers) {
  for (std::uint64_t k = 0; k < 100; ++k) {
    const Problem problem = Sample(GetParam(), k);
    EXPECT_EQ(SolveAnew(problem), problem.answer) << problem.question;
  }
}

TEST_P(FamilyTest, WorkingsArriveAtTheAnswerInEitherLanguage) {
  for (std::uint64_t k = 0; k < 50; ++k) {
    const Problem problem = Sample(GetParam(), k);
    for (const auto language :
         {ThoughtLanguage::kEnglish, ThoughtLanguage::kChinese, ThoughtLanguage::kMixed}) {
      const Thought thought = Think(problem, {language, 0}, KeyedRandom(k, "think"));
      EXPECT_EQ(thought.answer, problem.answer) << problem.question;
      EXPECT_EQ(thought.slips, 0);
      EXPECT_FALSE(thought.text.empty());
      if (!problem.general) {
        EXPECT_EQ(Tokens(thought.text).at(Tokens(thought.text).size() - 2), problem.answer)
            << thought.text;
      }
    }
  }
}

TEST_P(FamilyTest, WorkingsKeepToTheirLanguage) {
  const auto has_latin_word = [](const std::string& text) {
    const auto tokens = Tokens(text);
    return std::any_of(tokens.begin(), tokens.end(), [](const std::string& token) {
      return std::islower(static_cast<unsigned char>(token.back())) != 0;
    });
  };
  const auto has_han = [](const std::string& text) {
    return std::any_of(text.begin(), text.end(), [](char c) { return (c & 0x80) != 0; });
  };
  for (std::uint64_t k = 0; k < 20; ++k) {
    const Problem problem = Sample(GetParam(), k);
    const KeyedRandom random(k, "think");
    const std::string english = WriteThinking(problem, {ThoughtLanguage::kEnglish, 0.1}, random);
    const std::string chinese = WriteThinking(problem, {ThoughtLanguage::kChinese, 0.1}, random);
    EXPECT_TRUE(has_latin_word(english) && !has_han(english)) << english;
    EXPECT_TRUE(has_han(chinese) && !has_latin_word(chinese)) << chinese;
    EXPECT_EQ(english.find("  "), std::string::npos) << english;
    EXPECT_EQ(chinese.find("  "), std::string::npos) << chinese;
  }
}

TEST_P(FamilyTest, WrongAnswersAreWrongAndVaried) {
  std::set<std::string> wrong;
  for (std::uint64_t k = 0; k < 100; ++k) {
    const Problem problem = Sample(GetParam(), k);
    wrong.insert(WrongAnswer(problem, KeyedRandom(k, "wrong")));
    EXPECT_NE(WrongAnswer(problem, KeyedRandom(k, "wrong")), problem.answer) << problem.question;
  }
  EXPECT_GE(wrong.size(), 4U);
}

TEST_P(FamilyTest, ProblemsArePureInTheKeyAndTheIdIgnoresTheLanguage) {
  for (std::uint64_t k = 0; k < 20; ++k) {
    const Problem problem = Sample(GetParam(), k);
    const Problem again = Sample(GetParam(), k);
    EXPECT_EQ(problem.question, again.question);
    EXPECT_EQ(problem.id, again.id);
    TaskSpec other = GetParam();
    other.language = other.language == "en" ? "zh" : "en";
    const Problem translated = Sample(other, k);
    EXPECT_EQ(problem.id, translated.id);
    EXPECT_NE(problem.question, translated.question);
  }
}

TEST_P(FamilyTest, AsksInSeveralWordings) {
  std::set<std::string> frames;
  for (std::uint64_t k = 0; k < 60; ++k) {
    const Problem problem = Sample(GetParam(), k);
    frames.insert(problem.question.substr(problem.question.size() - 6));
    frames.insert(problem.question.substr(0, 6));
  }
  EXPECT_GE(frames.size(), 3U);
}

INSTANTIATE_TEST_SUITE_P(Every, FamilyTest, testing::ValuesIn(AllSpecs()), [](const auto& p) {
  return p.param.family + std::to_string(p.param.band) + p.param.language;
});

TEST(Families, SplitsAreDisjoint) {
  for (const TaskSpec& spec : AllSpecs()) {
    if (spec.band == 3 || spec.language != "en") continue;
    std::set<std::uint64_t> train;
    for (std::uint64_t k = 0; k < 200; ++k) {
      const KeyedRandom random = KeyedRandom(5, "split").With(k);
      const Result<Problem> seen = MakeProblem(spec, Split::kTrain, random);
      const Result<Problem> tuned_on = MakeProblem(spec, Split::kDev, random);
      const Result<Problem> held_out = MakeProblem(spec, Split::kTest, random);
      ASSERT_TRUE(seen && tuned_on && held_out) << spec.family;
      EXPECT_EQ(SplitOf(*seen), Split::kTrain);
      EXPECT_EQ(SplitOf(*tuned_on), Split::kDev);
      EXPECT_EQ(SplitOf(*held_out), Split::kTest);
      EXPECT_NE(seen->id % 8, 0U);
      EXPECT_EQ(tuned_on->id % 16, 8U);
      EXPECT_EQ(held_out->id % 16, 0U);
    }
  }
}

// A change of this id would let problems that a published base was trained on into the test split.
TEST(Families, IdsAreFixedForGood) {
  const Problem problem = Sample({"chain", 1, "en"}, 0);
  EXPECT_EQ(problem.content, (std::vector<int>{8, 8, 2}));
  EXPECT_EQ(problem.id, 0xeb14db830e074552U);
}

TEST(Families, HaveManyProblems) {
  // What there is room for; reasoning has at least 10,000 in band 1 alone.
  const std::map<std::string, std::size_t> smaller = {{"translate", 150}, {"repeat", 800}};
  for (const FamilyInfo& info : TaskFamilies()) {
    std::set<std::uint64_t> ids;
    for (std::uint64_t k = 0; k < 2000; ++k)
      ids.insert(Sample({std::string(info.name), 1, "en"}, k).id);
    const auto found = smaller.find(std::string(info.name));
    EXPECT_GE(ids.size(), found == smaller.end() ? 1600 : found->second) << info.name;
  }
}

TEST(Families, RefusesWhatItDoesNotKnow) {
  const KeyedRandom random(1, "test");
  const auto message = [&](const TaskSpec& spec, Split split) {
    const Result<Problem> made = MakeProblem(spec, split, random);
    return made ? std::string("made one") : made.error().message;
  };
  EXPECT_EQ(message({"chian", 1, "en"}, Split::kTrain),
            "chian: no such task family; nearest: chain; known: chain, shop, clock, swap, count, "
            "largest, repeat, pick, translate, reasoning, general");
  EXPECT_EQ(message({"chain", 4, "en"}, Split::kTest), "band 4: out of range, give 1, 2 or 3");
  EXPECT_EQ(message({"chain", 0, "en"}, Split::kTest), "band 0: out of range, give 1, 2 or 3");
  EXPECT_EQ(message({"chain", 3, "en"}, Split::kTrain),
            "band 3: held out for tests, train on bands 1 and 2");
  EXPECT_EQ(message({"chain", 1, "fr"}, Split::kTrain), "language fr: not known, give en or zh");
  EXPECT_EQ(message({"general", 1, "en"}, Split::kTrain), "general: a group of families, not one");
}

}  // namespace
}  // namespace aha::pipelines
