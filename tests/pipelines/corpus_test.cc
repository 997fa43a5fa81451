#include "pipelines/tasks/corpus.h"

#include <map>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "pipelines/tasks/broken_tags.h"

namespace aha::pipelines {
namespace {

constexpr int kDocuments = 4000;

proto::Corpus Shares() {
  proto::Corpus corpus;
  corpus.add_task()->set_family("chain");
  corpus.add_task()->set_family("clock");
  return corpus;
}

std::string AskPlainly(std::string_view question) {
  return "Q " + std::string(question) + "\n";
}

CorpusMaker MakerOf(const proto::Corpus& corpus, std::uint64_t seed = 1) {
  return CorpusMaker::Make(corpus, seed, AskPlainly).value();
}

std::vector<Document> Documents(const CorpusMaker& maker, int count) {
  std::vector<Document> documents;
  documents.reserve(static_cast<std::size_t>(count));
  for (int k = 0; k < count; ++k) {
    documents.push_back(MakeDocument(maker, static_cast<std::uint64_t>(k)).value());
  }
  return documents;
}

std::size_t Occurrences(std::string_view text, std::string_view part) {
  std::size_t count = 0;
  for (std::size_t at = text.find(part); at != std::string_view::npos;
       at = text.find(part, at + part.size()))
    ++count;
  return count;
}

bool HasTags(std::string_view text) {
  return text.find("answer>") != std::string_view::npos;
}

// Each tag once, in order, nothing before, between or after.
bool InOrder(std::string_view text) {
  for (const std::string_view tag : {"<think>", "</think>", "<answer>", "</answer>"}) {
    if (Occurrences(text, tag) != 1) return false;
  }
  return text.starts_with("<think>") && text.ends_with("</answer>") &&
         text.find("</think><answer>") != std::string_view::npos;
}

TEST(Corpus, KeepsTheShares) {
  std::map<DocumentKind, int> kinds;
  int tagged = 0;
  int broken = 0;
  for (const Document& document : Documents(MakerOf(Shares()), kDocuments)) {
    ++kinds[document.kind];
    if (document.broken || HasTags(document.completion)) ++tagged;
    if (document.broken) ++broken;
  }
  EXPECT_NEAR(kinds[DocumentKind::kBare] / double{kDocuments}, 0.40, 0.03);
  EXPECT_NEAR(kinds[DocumentKind::kStepsSame] / double{kDocuments}, 0.20, 0.03);
  EXPECT_NEAR(kinds[DocumentKind::kStepsOther] / double{kDocuments}, 0.10, 0.03);
  EXPECT_NEAR(kinds[DocumentKind::kStepsMixed] / double{kDocuments}, 0.15, 0.03);
  EXPECT_NEAR(kinds[DocumentKind::kUntagged] / double{kDocuments}, 0.15, 0.03);
  EXPECT_NEAR(broken / double(tagged), 0.2, 0.03);
}

TEST(Corpus, BareDocumentsComeInThreeFormsAndSometimesWrong) {
  proto::Corpus shares = Shares();
  shares.set_bare(1);
  shares.set_steps_same(0);
  shares.set_steps_other(0);
  shares.set_steps_mixed(0);
  shares.set_broken_tags(0);
  int empty = 0, answer_tags = 0, plain = 0, wrong = 0;
  for (const Document& document : Documents(MakerOf(shares), kDocuments)) {
    std::string_view text = document.completion;
    if (text.starts_with("<think></think>")) {
      text.remove_prefix(15);
      ++empty;
    } else if (HasTags(text)) {
      ++answer_tags;
    } else {
      ++plain;
    }
    if (HasTags(text)) text = text.substr(8, text.size() - 17);
    if (text != document.problem.answer) ++wrong;
  }
  EXPECT_NEAR(empty / double{kDocuments}, 0.5, 0.03);
  EXPECT_NEAR(answer_tags / double{kDocuments}, 0.25, 0.03);
  EXPECT_NEAR(plain / double{kDocuments}, 0.25, 0.03);
  EXPECT_NEAR(wrong / double{kDocuments}, 0.15, 0.03);
}

TEST(Corpus, StepsAreInTheLanguageOfTheirKind) {
  const auto is_chinese = [](const Document& d) {
    return d.completion.find(" 。<") != std::string::npos;
  };
  const auto is_english = [](const Document& d) {
    return d.completion.find(" .<") != std::string::npos;
  };
  proto::Corpus shares = Shares();
  shares.set_broken_tags(0);
  for (const Document& document : Documents(MakerOf(shares), 500)) {
    const bool asked_in_chinese = document.problem.language == "zh";
    if (document.kind == DocumentKind::kStepsSame) {
      EXPECT_EQ(asked_in_chinese, is_chinese(document)) << document.completion;
      EXPECT_NE(asked_in_chinese, is_english(document)) << document.completion;
    }
    if (document.kind == DocumentKind::kStepsOther) {
      EXPECT_NE(asked_in_chinese, is_chinese(document)) << document.completion;
    }
  }
}

TEST(Corpus, TagsAreRightUnlessBroken) {
  for (const Document& document : Documents(MakerOf(Shares()), kDocuments)) {
    if (document.broken) {
      EXPECT_FALSE(InOrder(document.completion)) << document.completion;
    } else if (document.kind == DocumentKind::kUntagged) {
      EXPECT_EQ(document.completion.find('<'), std::string::npos) << document.completion;
    } else if (document.kind != DocumentKind::kBare) {
      EXPECT_TRUE(InOrder(document.completion)) << document.completion;
    }
  }
}

TEST(Corpus, SlipsShowInTheAnswers) {
  proto::Corpus shares = Shares();
  shares.set_broken_tags(0);
  int steps = 0;
  int wrong = 0;
  for (const Document& document : Documents(MakerOf(shares), kDocuments)) {
    if (document.kind == DocumentKind::kBare || document.kind == DocumentKind::kUntagged) continue;
    ++steps;
    if (document.completion.find("<answer>" + document.problem.answer + "<") == std::string::npos)
      ++wrong;
  }
  // About 3.5 steps a problem at 0.05 each.
  EXPECT_NEAR(wrong / double(steps), 0.16, 0.04);
}

TEST(Corpus, IsPureInSeedAndNumber) {
  const CorpusMaker maker = MakerOf(Shares());
  const Document document = MakeDocument(maker, 12).value();
  EXPECT_EQ(document.completion, MakeDocument(MakerOf(Shares()), 12)->completion);
  EXPECT_EQ(document.prompt, AskPlainly(document.problem.question));
  EXPECT_EQ(SplitOf(document.problem), Split::kTrain);
  EXPECT_NE(document.prompt, MakeDocument(maker, 13)->prompt);
  EXPECT_NE(document.prompt, MakeDocument(MakerOf(Shares(), 2), 12)->prompt);
}

TEST(Corpus, RefusesBadShares) {
  proto::Corpus too_much = Shares();
  too_much.set_steps_same(0.5);
  EXPECT_EQ(CorpusMaker::Make(too_much, 1, AskPlainly).error().code, Code::kInvalidArgument);
  proto::Corpus negative = Shares();
  negative.set_wrong_step(-0.1);
  EXPECT_EQ(CorpusMaker::Make(negative, 1, AskPlainly).error().message,
            "corpus.wrong_step: -0.1 is out of range, give 0 to 1");
  EXPECT_FALSE(CorpusMaker::Make(proto::Corpus(), 1, AskPlainly).has_value());
  proto::Corpus held_out = Shares();
  held_out.mutable_task(0)->add_band(3);
  EXPECT_EQ(CorpusMaker::Make(held_out, 1, AskPlainly).error().message,
            "corpus: task 1 (chain): band 3: held out for tests, train on bands 1 and 2");
}

TEST(BrokenTags, BreakInManyWays) {
  DrawSequence draw(KeyedRandom(1, "broken"));
  std::map<std::string, int> seen;
  for (int i = 0; i < 500; ++i) {
    const std::string text = WriteBrokenTags({"t", "a"}, draw);
    EXPECT_FALSE(InOrder(text)) << text;
    ++seen[text];
  }
  EXPECT_EQ(seen.size(), 14U);  // 4 dropped, 4 doubled, 3 texts after, 3 orders
}

}  // namespace
}  // namespace aha::pipelines
