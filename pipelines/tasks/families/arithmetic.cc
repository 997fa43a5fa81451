// Running sums of one-digit numbers, told as a formula (chain) or as a story (shop).
// Content: the first number, then the signed changes.

#include <algorithm>
#include <array>
#include <cstdlib>
#include <numeric>

#include <fmt/format.h>

#include "pipelines/tasks/families/family.h"

namespace aha::pipelines {
namespace {

constexpr int kMost = 30;  // partial results stay in [0, kMost]

std::vector<int> DrawTerms(std::uint32_t band, int first_from, DrawSequence& draw) {
  const int length = DrawLength(band, 3, 2, draw);
  std::vector<int> terms = {static_cast<int>(draw.Integer(first_from, 9))};
  int sum = terms[0];
  while (static_cast<int>(terms.size()) < length) {
    const int size = static_cast<int>(draw.Integer(1, 9));
    const bool plus = sum < size || (sum + size <= kMost && draw.Chance(0.5));
    terms.push_back(plus ? size : -size);
    sum += terms.back();
  }
  return terms;
}

int Sum(const std::vector<int>& terms) {
  return std::accumulate(terms.begin(), terms.end(), 0);
}

// What a slip makes of the right result `sum` after term `at`: a little off, yet such that no later
// partial result falls below 0.
int SlippedSum(const std::vector<int>& terms, std::size_t at, int sum, DrawSequence& draw) {
  int lowest = sum;
  int later = sum;
  for (std::size_t i = at + 1; i < terms.size(); ++i) {
    later += terms[i];
    lowest = std::min(lowest, later);
  }
  return sum - lowest + NearMiss(lowest, 2, draw);
}

std::string WrongSum(const Draft& draft, Language /*language*/, DrawSequence& draw) {
  return std::to_string(NearMiss(Sum(draft.content), 3, draw));
}

// Chain.

Draft DrawChain(std::uint32_t band, DrawSequence& draw) {
  const int wording = DrawWording(draw);
  return {DrawTerms(band, 1, draw), {wording}};
}

std::string AskChain(const Draft& draft, Language language) {
  std::string sum = std::to_string(draft.content[0]);
  for (std::size_t i = 1; i < draft.content.size(); ++i) {
    const int term = draft.content[i];
    sum += fmt::format(" {} {}", term < 0 ? '-' : '+', std::abs(term));
  }
  static constexpr std::array<std::string_view, 3> kEnglish = {"What is {} ?", "Compute {} .",
                                                               "How much is {} ?"};
  static constexpr std::array<std::string_view, 3> kChinese = {"{} 等于多少？", "计算 {} 。",
                                                               "算一算 {} 是多少？"};
  return fmt::format(
      fmt::runtime(Wording(draft, language == Language::kEnglish ? kEnglish : kChinese)), sum);
}

std::string ThinkChain(const Draft& draft, Language /*language*/, Pen& pen) {
  int sum = draft.content[0];
  for (std::size_t i = 1; i < draft.content.size(); ++i) {
    const int term = draft.content[i];
    const int before = sum;
    pen.Step();
    sum += term;
    if (pen.slips()) sum = SlippedSum(draft.content, i, sum, pen.draw());
    if (term < 0) {
      pen.Say("{} minus {} is {} .", "{} 减 {} 得 {} 。", before, -term, sum);
    } else {
      pen.Say("{} plus {} is {} .", "{} 加 {} 得 {} 。", before, term, sum);
    }
  }
  return std::to_string(sum);
}

// Shop. Surface: wording, person, thing, then the verb of each change.

struct Person {
  std::string_view english, pronoun, chinese;
};
struct Words {
  std::string_view english, chinese;
};
constexpr std::array<Person, 4> kPeople = {{{"Tom", "He", "小明"},
                                            {"Ann", "She", "小红"},
                                            {"Ben", "He", "小刚"},
                                            {"Lucy", "She", "小丽"}}};
constexpr std::array<Words, 4> kThings = {
    {{"apples", "苹果"}, {"pears", "梨"}, {"eggs", "鸡蛋"}, {"cakes", "蛋糕"}}};
constexpr std::array<Words, 3> kGains = {{{"buys", "买了"}, {"finds", "找到"}, {"gets", "得到"}}};
constexpr std::array<Words, 3> kLosses = {{{"eats", "吃了"}, {"sells", "卖了"}, {"loses", "丢了"}}};

const Words& Verb(const Draft& draft, std::size_t change) {
  const auto verb = static_cast<std::size_t>(draft.surface[2 + change]);
  return draft.content[change] < 0 ? kLosses[verb] : kGains[verb];
}

Draft DrawShop(std::uint32_t band, DrawSequence& draw) {
  Draft draft;
  draft.surface = {DrawWording(draw), static_cast<int>(draw.Integer(0, std::ssize(kPeople) - 1)),
                   static_cast<int>(draw.Integer(0, std::ssize(kThings) - 1))};
  draft.content = DrawTerms(band, 2, draw);  // from 2: the thing is a plural
  for (std::size_t i = 1; i < draft.content.size(); ++i) {
    draft.surface.push_back(static_cast<int>(draw.Integer(0, std::ssize(kGains) - 1)));
  }
  return draft;
}

std::string AskShopEnglish(const Draft& draft, const Person& who, const Words& what) {
  const bool sentences = draft.surface[0] % 2 == 0;
  std::string text = fmt::format("{} has {} {}", who.english, draft.content[0], what.english);
  for (std::size_t i = 1; i < draft.content.size(); ++i) {
    text += sentences ? fmt::format(" . {}", who.pronoun) : std::string(" ,");
    text += fmt::format(" {} {}", Verb(draft, i).english, std::abs(draft.content[i]));
  }
  return text +
         (sentences ? " . How many now ?" : fmt::format(" . How many {} are left ?", what.english));
}

std::string AskShopChinese(const Draft& draft, const Person& who, const Words& what) {
  const bool plain = draft.surface[0] % 2 == 0;
  std::string text = fmt::format("{}{} {} 个{}", who.chinese, plain ? "有" : "原来有",
                                 draft.content[0], what.chinese);
  for (std::size_t i = 1; i < draft.content.size(); ++i) {
    text += fmt::format("，{} {} 个", Verb(draft, i).chinese, std::abs(draft.content[i]));
  }
  return text + (plain ? "，现在有几个？" : fmt::format("，还有几个{}？", what.chinese));
}

std::string AskShop(const Draft& draft, Language language) {
  const Person& who = kPeople[static_cast<std::size_t>(draft.surface[1])];
  const Words& what = kThings[static_cast<std::size_t>(draft.surface[2])];
  return language == Language::kEnglish ? AskShopEnglish(draft, who, what)
                                        : AskShopChinese(draft, who, what);
}

std::string ThinkShop(const Draft& draft, Language /*language*/, Pen& pen) {
  int sum = draft.content[0];
  pen.PlainStep();
  pen.Say("has {} .", "有 {} 。", sum);
  for (std::size_t i = 1; i < draft.content.size(); ++i) {
    const int term = draft.content[i];
    const Words& verb = Verb(draft, i);
    pen.Step();
    sum += term;
    if (pen.slips()) sum = SlippedSum(draft.content, i, sum, pen.draw());
    const auto verb_text = pen.language() == Language::kEnglish ? verb.english : verb.chinese;
    pen.Say("{} {} so {} .", "{} {} 得 {} 。", verb_text, std::abs(term), sum);
  }
  return std::to_string(sum);
}

}  // namespace

constinit const Family kChain = {
    {"chain", "one-digit numbers joined by + and -; 3-4, 5-6 or 7-8 of them", false, "math"},
    DrawChain,
    AskChain,
    ThinkChain,
    WrongSum};

constinit const Family kShop = {
    {"shop", "a story of things bought and eaten; 3-4, 5-6 or 7-8 numbers", false, "math"},
    DrawShop,
    AskShop,
    ThinkShop,
    WrongSum};

}  // namespace aha::pipelines
