#include "pipelines/sampling/question_source.h"

#include <algorithm>
#include <numeric>
#include <set>

#include <gtest/gtest.h>

#include "tests/run/scratch_folder.h"

namespace aha::pipelines {
namespace {

constexpr int kRows = 7;

// Questions "q1" ... on lines 1 ..., answered "a1" ....
proto::Prompts WriteRows(const std::filesystem::path& folder) {
  std::string text;
  for (int line = 1; line <= kRows; ++line)
    text += fmt::format("{{\"question\": \"q{0}\", \"answer\": \"so #### a{0}\"}}\n", line);
  Write(folder / "rows.jsonl", text);
  proto::Prompts prompts;
  prompts.mutable_jsonl()->set_path("rows.jsonl");
  prompts.mutable_jsonl()->set_language("zh");
  prompts.set_template_("plain");
  return prompts;
}

QuestionSource Source(const proto::Prompts& prompts,
                      const std::filesystem::path& folder,
                      std::uint64_t seed = 1,
                      const std::string& stage = "zero") {
  auto source = QuestionSource::Make(prompts, Split::kTrain, seed, stage, folder, folder);
  if (!source) throw std::runtime_error(source.error().message);
  return std::move(*source);
}

std::vector<std::string> Questions(const QuestionSource& source,
                                   std::uint64_t first,
                                   std::uint64_t count) {
  std::vector<std::string> questions;
  for (std::uint64_t k = first; k < first + count; ++k)
    questions.push_back(source.At(k).value().question);
  return questions;
}

TEST(QuestionSourceTest, RowsOfAFileComeOnceAnEpochInANewOrderEach) {
  const ScratchFolder scratch;
  const QuestionSource source = Source(WriteRows(scratch.path()), scratch.path());
  std::set<std::vector<std::string>> orders;
  for (std::uint64_t epoch = 0; epoch < 4; ++epoch) {
    std::vector<std::string> order = Questions(source, epoch * kRows, kRows);
    orders.insert(order);
    std::sort(order.begin(), order.end());
    EXPECT_EQ(order, (std::vector<std::string>{"q1", "q2", "q3", "q4", "q5", "q6", "q7"}));
  }
  EXPECT_EQ(orders.size(), 4U);
}

TEST(QuestionSourceTest, ARowKeepsItsIdAndEachDrawHasItsVisit) {
  const ScratchFolder scratch;
  const QuestionSource source = Source(WriteRows(scratch.path()), scratch.path());
  for (std::uint64_t k = 0; k < 3 * kRows; ++k) {
    const Question q = source.At(k).value();
    EXPECT_EQ(q.visit, k);
    EXPECT_EQ(q.question, fmt::format("q{}", q.id));  // the line's number
    EXPECT_EQ(q.reference, fmt::format("a{}", q.id));
    EXPECT_EQ(q.family, "jsonl");
    EXPECT_EQ(q.language, "zh");
    EXPECT_FALSE(q.problem);
  }
}

TEST(QuestionSourceTest, TheOrderHangsOnSeedAndStage) {
  const ScratchFolder scratch;
  const proto::Prompts prompts = WriteRows(scratch.path());
  const auto order = Questions(Source(prompts, scratch.path()), 0, 3 * kRows);
  EXPECT_EQ(Questions(Source(prompts, scratch.path()), 0, 3 * kRows), order);
  EXPECT_NE(Questions(Source(prompts, scratch.path(), 2), 0, 3 * kRows), order);
  EXPECT_NE(Questions(Source(prompts, scratch.path(), 1, "one"), 0, 3 * kRows), order);
}

proto::Prompts Chains() {
  proto::Prompts prompts;
  prompts.add_task()->set_family("chain");
  return prompts;
}

// What was asked before, and in which order, changes nothing.
TEST(QuestionSourceTest, AQuestionHangsOnItsNumberAlone) {
  const ScratchFolder scratch;
  for (const proto::Prompts& prompts : {WriteRows(scratch.path()), Chains()}) {
    const QuestionSource forward = Source(prompts, scratch.path());
    const QuestionSource backward = Source(prompts, scratch.path());
    const auto want = Questions(forward, 0, 30);
    for (std::uint64_t k = 30; k-- > 0;)
      EXPECT_EQ(backward.At(k).value().question, want[k]) << k;
  }
}

TEST(QuestionSourceTest, GeneratedQuestionsBringTheirProblem) {
  const QuestionSource source = Source(Chains(), "/nowhere");
  std::set<std::string> languages;
  for (std::uint64_t k = 0; k < 40; ++k) {
    const Question q = source.At(k).value();
    ASSERT_TRUE(q.problem);
    EXPECT_EQ(q.family, "chain");
    EXPECT_EQ(q.id, q.problem->id);
    EXPECT_EQ(q.reference, q.problem->answer);
    EXPECT_EQ(q.band, q.problem->band);
    languages.insert(q.language);
  }
  EXPECT_EQ(languages, (std::set<std::string>{"en", "zh"}));
}

TEST(QuestionSourceTest, RefusesWhatItCannotRead) {
  proto::Prompts missing;
  missing.mutable_jsonl()->set_path("none.jsonl");
  EXPECT_EQ(
      QuestionSource::Make(missing, Split::kTrain, 1, "zero", "/nowhere", "/nowhere").error().code,
      Code::kNotFound);
  proto::Prompts unknown;
  unknown.add_task()->set_family("chains");
  EXPECT_FALSE(QuestionSource::Make(unknown, Split::kTrain, 1, "zero", "/nowhere", "/nowhere"));
}

TEST(ShuffledOrderTest, IsAPermutationForEachEpoch) {
  const KeyedRandom random(1, "order");
  std::vector<std::uint32_t> sorted(50);
  std::iota(sorted.begin(), sorted.end(), 0U);
  const auto first = ShuffledOrder(50, 0, random);
  const auto second = ShuffledOrder(50, 1, random);
  EXPECT_EQ(ShuffledOrder(50, 0, random), first);
  EXPECT_NE(first, second);
  for (auto order : {first, second}) {
    EXPECT_NE(order, sorted);
    std::sort(order.begin(), order.end());
    EXPECT_EQ(order, sorted);
  }
}

}  // namespace
}  // namespace aha::pipelines
