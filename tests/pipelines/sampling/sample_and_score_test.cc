// SampleAndScore with a sampler that answers what the test wants and rewards of the test's own.
#include <stdexcept>

#include <gtest/gtest.h>

#include "pipelines/sampling/scored_group.h"
#include "pipelines/sampling/step_ends.h"
#include "policy/tokenizer/train_bpe.h"

namespace aha::pipelines {
namespace {

constexpr std::int32_t kStop = 0;

// 1 for a completion that says "right"; throws at one that says "trouble".
class RightReward : public rewards::Reward {
 public:
  [[nodiscard]] rewards::Outcome Score(const rewards::ScoreInput& input) const override {
    if (input.completion.find("trouble") != std::string_view::npos)
      throw std::runtime_error("trouble");
    return rewards::Scored(input.completion.find("right") != std::string_view::npos ? 1 : 0);
  }
};

// Gives the completions of each unit in turn, and remembers what it was asked.
class ScriptedSampler : public Sampler {
 public:
  ScriptedSampler(const policy::Tokenizer& tokenizer, std::vector<std::string> texts)
      : tokenizer_(tokenizer), texts_(std::move(texts)) {}
  Status Publish(const policy::Weights&, std::uint64_t) override { return {}; }
  Result<std::vector<proto::SampleReply>> Run(const std::vector<proto::SampleRequest>& units,
                                              const std::function<void()>& on_unit) override {
    asked = units;
    std::vector<proto::SampleReply> replies;
    std::size_t next = 0;
    for (const proto::SampleRequest& unit : units) {
      proto::SampleReply& reply = replies.emplace_back();
      for (const proto::GroupRequest& group : unit.groups()) {
        for (std::uint32_t s = 0; s < group.samples(); ++s)
          AHA_TRY(Answer(texts_.at(next++), *reply.add_completions()));
      }
      if (on_unit) on_unit();
    }
    return replies;
  }
  std::vector<proto::SampleRequest> asked;

 private:
  Status Answer(const std::string& text, proto::Completion& completion) const {
    AHA_ASSIGN(const std::vector<std::int32_t> ids, tokenizer_.Encode(text));
    for (const std::int32_t id : ids)
      completion.add_ids(static_cast<std::uint32_t>(id));
    completion.add_ids(kStop);
    completion.set_finish(proto::FINISH_STOP);
    return {};
  }
  const policy::Tokenizer& tokenizer_;
  std::vector<std::string> texts_;
};

policy::Tokenizer ByteTokenizer() {
  policy::TrainOptions options;
  options.vocab_size = 259;
  options.added_tokens = {{"<|end|>", true}, {"<think>", false}, {"</think>", false}};
  const std::string json = policy::TrainBpe({}, options).value();
  return policy::Tokenizer::FromText(json, "tokenizer").value();
}

class SampleAndScoreTest : public testing::Test {
 protected:
  SampleAndScoreTest() : tokenizer_(ByteTokenizer()) {
    const auto make = [](const rewards::Config&) -> Result<std::unique_ptr<rewards::Reward>> {
      return std::make_unique<RightReward>();
    };
    EXPECT_TRUE(registry_.Add({"right", "", {}, "", ""}, make));
    EXPECT_TRUE(registry_.Add({"watched", "", {}, "", ""}, make));
    for (std::uint64_t q = 0; q < 3; ++q) {
      Question& question = questions_.emplace_back();
      question.id = 100 + q;
      question.visit = q;
      question.question = fmt::format("Q{}", q);
    }
    plan_.seed = 4;
    plan_.stage = "zero";
    plan_.samples = 2;
    plan_.prompts_per_unit = 2;
  }

  std::vector<ScoredGroup> Run(ScriptedSampler& sampler, const RewardPlan& rewards) {
    const auto scorer = Scorer::Start(registry_, {});
    const sft::ChatTemplate plain = sft::FindChatTemplate("plain").value();
    const Experience experience{&sampler, scorer->get(), &tokenizer_, &plain, {kStop}};
    auto groups = SampleAndScore(experience, questions_, plan_, rewards, [&] { ++units_; });
    EXPECT_TRUE(groups) << groups.error().message;
    return groups.value_or(std::vector<ScoredGroup>());
  }

  policy::Tokenizer tokenizer_;
  rewards::Registry registry_;
  std::vector<Question> questions_;
  SamplePlan plan_;
  int units_ = 0;
};

const std::vector<std::string> kTexts = {"right", "wrong",        "<think>abc</think>right",
                                         "wrong", "trouble here", "right"};

TEST_F(SampleAndScoreTest, EachGroupGetsItsOwnCompletionsAndScores) {
  ScriptedSampler sampler(tokenizer_, kTexts);
  RewardPlan rewards;
  rewards.Add("right", 2);
  const std::vector<ScoredGroup> groups = Run(sampler, rewards);
  ASSERT_EQ(groups.size(), 3U);
  EXPECT_EQ(units_, 2);
  ASSERT_EQ(sampler.asked.size(), 2U);
  EXPECT_EQ(sampler.asked[0].groups_size(), 2);
  EXPECT_EQ(sampler.asked[1].groups(0).prompt_id(), 102U);
  EXPECT_EQ(sampler.asked[1].seed(), 4U);
  std::size_t at = 0;
  for (const ScoredGroup& group : groups) {
    ASSERT_EQ(group.record.sample_size(), 2);
    for (const proto::SampleRecord& sample : group.record.sample())
      EXPECT_EQ(sample.completion().text(), kTexts[at++]);  // without the stop token
  }
  EXPECT_EQ(groups[0].record.sample(0).total(), 2);
  EXPECT_EQ(groups[0].record.sample(1).total(), 0);
  EXPECT_EQ(groups[1].thinking_tokens, (std::vector<std::int64_t>{3, 0}));
}

TEST_F(SampleAndScoreTest, AFailureLeavesTheTotalUnset) {
  ScriptedSampler sampler(tokenizer_, kTexts);
  RewardPlan rewards;
  rewards.Add("right", 1);
  const std::vector<ScoredGroup> groups = Run(sampler, rewards);
  const proto::SampleRecord& failed = groups.at(2).record.sample(0);
  EXPECT_FALSE(failed.has_total());
  EXPECT_EQ(failed.outcome(0).failure().kind(), proto::Failure::CRASH);
  EXPECT_EQ(groups[2].record.sample(1).total(), 1);
  EXPECT_EQ(ValueOf(Summarise(groups, rewards), "reward_failures/right"), 1);
}

TEST_F(SampleAndScoreTest, AWatchedComponentMayFail) {
  ScriptedSampler sampler(tokenizer_, std::vector<std::string>(6, "trouble"));
  RewardPlan rewards;
  rewards.Add("watched", 0);
  for (const ScoredGroup& group : Run(sampler, rewards)) {
    EXPECT_TRUE(group.record.sample(0).has_total());
    EXPECT_TRUE(group.record.sample(0).outcome(0).has_failure());
  }
}

// What a reward says of bytes of the text ends at the token that brings the last of them; what ends
// with the text ends with the stop token.
TEST_F(SampleAndScoreTest, StepsEndAtTokens) {
  ScriptedSampler sampler(
      tokenizer_, {"1 + 1 = 2, 2 + 1 = 4", "none", "a\xc3\xa9 1+1=2.", "none", "none", "none"});
  RewardPlan rewards;
  registry_ = rewards::Registry::BuiltIns();
  rewards.Add("steps", 1);
  const std::vector<ScoredGroup> groups = Run(sampler, rewards);
  const proto::SampleRecord& first = groups.at(0).record.sample(0);
  EXPECT_EQ(first.total(), .5);
  ASSERT_EQ(first.outcome(0).steps_size(), 2);
  EXPECT_EQ(first.outcome(0).steps(0).end(), 9U);
  EXPECT_EQ(first.outcome(0).steps(0).token_end(), 9U);  // this tokenizer's tokens are bytes
  EXPECT_EQ(first.outcome(0).steps(1).token_end(), 21U);
  EXPECT_EQ(groups[0].record.sample(1).outcome(0).steps_size(), 0);
  const proto::Outcome& accented = groups.at(1).record.sample(0).outcome(0);
  ASSERT_EQ(accented.steps_size(), 1);
  EXPECT_EQ(accented.steps(0).token_end(), 9U);
}

TEST_F(SampleAndScoreTest, WhatThePromptHadBegunIsNoToken) {
  proto::Completion completion;
  const std::vector<std::int32_t> ids = tokenizer_.Encode(" 1+1=2.").value();
  for (const std::int32_t id : ids)
    completion.add_ids(static_cast<std::uint32_t>(id));
  completion.add_ids(kStop);
  completion.set_text(" 1+1=2.");
  proto::Outcome outcome;
  outcome.add_steps()->set_end(7 + 5);  // scored: "<think>1+1=2.", the blank taken off
  SetTokenEnds(completion, 7 + 6, tokenizer_, outcome);
  EXPECT_EQ(outcome.steps(0).token_end(), 6U);
  outcome.mutable_steps(0)->set_end(3);  // inside what the prompt began
  SetTokenEnds(completion, 7 + 6, tokenizer_, outcome);
  EXPECT_EQ(outcome.steps(0).token_end(), 1U);
}

// groups.bin is the same file in every run: no clock in it.
TEST_F(SampleAndScoreTest, RecordsHoldNoTime) {
  RewardPlan rewards;
  rewards.Add("right", 1);
  std::vector<std::string> bytes;
  for (int run = 0; run < 2; ++run) {
    ScriptedSampler sampler(tokenizer_, kTexts);
    std::string all;
    for (const ScoredGroup& group : Run(sampler, rewards)) {
      for (const proto::SampleRecord& sample : group.record.sample())
        EXPECT_FALSE(sample.outcome(0).has_ms());
      all += group.record.SerializeAsString();
    }
    bytes.push_back(all);
  }
  EXPECT_EQ(bytes[0], bytes[1]);
}

}  // namespace
}  // namespace aha::pipelines
