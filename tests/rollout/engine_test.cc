#include "rollout/engine.h"

#include <algorithm>
#include <set>

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/policy/tiny_model.h"

namespace aha::rollout {
namespace {

using policy::Policy;
using testing::HasSubstr;

using Ids = std::vector<std::int32_t>;

// Groups with the prompts' places as their ids, `samples` of each.
proto::SampleRequest Request(const std::vector<Ids>& prompts,
                             std::uint32_t samples,
                             std::uint32_t max_new,
                             float temperature) {
  proto::SampleRequest request;
  request.set_unit(5);
  request.set_seed(3);
  request.set_stage("zero");
  request.set_weights_version(7);
  request.mutable_sampling()->set_temperature(temperature);
  request.mutable_sampling()->set_max_new_tokens(max_new);
  for (std::size_t p = 0; p < prompts.size(); ++p) {
    proto::GroupRequest& group = *request.add_groups();
    group.set_prompt_id(p);
    group.set_visit(9);
    group.set_samples(samples);
    for (const std::int32_t id : prompts[p])
      group.add_prompt_ids(static_cast<std::uint32_t>(id));
  }
  return request;
}

Ids IdsOf(const proto::Completion& completion) {
  return {completion.ids().begin(), completion.ids().end()};
}

// Log-softmax of the logits / T after `ids`, worked out without a cache.
at::Tensor NextLogprobs(const Policy& policy, const Ids& ids, double temperature) {
  const at::NoGradGuard no_grad;
  const at::Tensor hidden = policy.Forward(policy::PackSequences({ids}));
  const at::Tensor last = hidden.slice(0, hidden.size(0) - 1);
  return at::log_softmax(policy::kernels::Logits(last, policy.head()) / temperature, -1)[0];
}

const std::vector<Ids> kPrompts = {{1, 5, 9}, {4}, {7, 2, 2, 11}, {3, 3, 3, 3, 3, 3, 3, 3, 8}};

class EngineTest : public testing::Test {
 protected:
  // Pages of four tokens: prompts that end inside a page, and at its end.
  proto::SampleReply Run(const proto::SampleRequest& request, std::int32_t stop = -1) {
    Engine engine(policy_, {.page_tokens = 4, .stop_ids = {stop}});
    auto reply = engine.Run(request);
    EXPECT_TRUE(reply) << reply.error().message;
    return reply.value_or(proto::SampleReply());
  }
  Policy policy_ = policy::TinyPolicy();
};

TEST_F(EngineTest, GreedyIsTheArgmaxStepByStepWithoutACache) {
  const proto::SampleReply reply = Run(Request(kPrompts, 1, 9, 0));
  ASSERT_EQ(reply.completions_size(), static_cast<int>(kPrompts.size()));
  for (std::size_t p = 0; p < kPrompts.size(); ++p) {
    Ids ids = kPrompts[p];
    Ids want;
    for (int k = 0; k < 9; ++k) {
      want.push_back(
          static_cast<std::int32_t>(NextLogprobs(policy_, ids, 1).argmax().item<std::int64_t>()));
      ids.push_back(want.back());
    }
    EXPECT_EQ(IdsOf(reply.completions(static_cast<int>(p))), want) << "prompt " << p;
  }
}

TEST_F(EngineTest, LogprobsAreThoseOfARecomputedPass) {
  constexpr double kTemperature = .7F;
  const proto::SampleReply reply = Run(Request(kPrompts, 3, 10, kTemperature));
  for (int c = 0; c < reply.completions_size(); ++c) {
    const proto::Completion& completion = reply.completions(c);
    ASSERT_EQ(completion.logprobs_size(), completion.ids_size());
    Ids ids = kPrompts[static_cast<std::size_t>(c) / 3];
    for (int k = 0; k < completion.ids_size(); ++k) {
      const auto id = static_cast<std::int64_t>(completion.ids(k));
      EXPECT_NEAR(completion.logprobs(k),
                  NextLogprobs(policy_, ids, kTemperature)[id].item<double>(), 1e-4)
          << "completion " << c << ", token " << k;
      ids.push_back(static_cast<std::int32_t>(id));
    }
  }
}

TEST_F(EngineTest, TheSameRequestGivesTheSameBytes) {
  const proto::SampleRequest request = Request(kPrompts, 4, 12, 1);
  Engine engine(policy_, {.page_tokens = 4});
  const std::string first = engine.Run(request).value().SerializeAsString();
  EXPECT_TRUE(engine.Run(Request({{1, 2}}, 1, 3, 1)));  // what came between leaves nothing behind
  EXPECT_EQ(engine.Run(request).value().SerializeAsString(), first);
  EXPECT_EQ(Run(request).SerializeAsString(), first);
}

TEST_F(EngineTest, EveryPartOfTheKeyChangesTheDraws) {
  const proto::SampleRequest request = Request({{1, 5, 9}}, 2, 16, 1);
  const proto::SampleReply reply = Run(request);
  std::set<Ids> seen = {IdsOf(reply.completions(0)), IdsOf(reply.completions(1))};
  EXPECT_EQ(seen.size(), 2U);  // the sample's index
  std::vector<proto::SampleRequest> others(4, request);
  others[0].set_seed(4);
  others[1].set_stage("one");
  others[2].mutable_groups(0)->set_visit(10);
  others[3].mutable_groups(0)->set_prompt_id(1);
  for (const proto::SampleRequest& other : others) {
    EXPECT_TRUE(seen.insert(IdsOf(Run(other).completions(0))).second);
  }
  proto::SampleRequest same = request;
  same.set_unit(6);
  same.set_weights_version(8);
  EXPECT_EQ(IdsOf(Run(same).completions(0)), IdsOf(reply.completions(0)));
}

TEST_F(EngineTest, CompletionsBearTheirKeysInTheRequestsOrder) {
  const proto::SampleReply reply = Run(Request(kPrompts, 2, 3, 1));
  EXPECT_EQ(reply.unit(), 5U);
  EXPECT_EQ(reply.weights_version(), 7U);
  ASSERT_EQ(reply.completions_size(), 8);
  for (int c = 0; c < 8; ++c) {
    const proto::Completion& completion = reply.completions(c);
    EXPECT_EQ(completion.key().seed(), 3U);
    EXPECT_EQ(completion.key().stage(), "zero");
    EXPECT_EQ(completion.key().visit(), 9U);
    EXPECT_EQ(completion.key().prompt_id(), static_cast<std::uint64_t>(c / 2));
    EXPECT_EQ(completion.key().sample(), static_cast<std::uint32_t>(c % 2));
    EXPECT_EQ(completion.weights_version(), 7U);
  }
}

// A prompt of 40 tokens is ten pages; 16 samples of 4 tokens are 16 more when they share it.
TEST_F(EngineTest, AGroupsSamplesShareTheirPrompt) {
  const proto::SampleRequest request = Request({Ids(40, 6)}, 16, 4, 1);
  const std::int64_t page = policy::KvPageBytes(policy_.config(), 4);
  Engine roomy(policy_, {.page_tokens = 4, .cache_bytes = 30 * page});
  const auto reply = roomy.Run(request);
  ASSERT_TRUE(reply) << reply.error().message;
  EXPECT_EQ(reply->completions_size(), 16);
  Engine cramped(policy_, {.page_tokens = 4, .cache_bytes = 20 * page});
  const auto refused = cramped.Run(request);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kExhausted);
  EXPECT_THAT(refused.error().message, HasSubstr("prompts_per_unit"));
}

TEST_F(EngineTest, StopsAtTheStopTokenOrTheLimit) {
  const proto::SampleReply free = Run(Request({{1, 5, 9}}, 1, 12, 0));
  ASSERT_EQ(free.completions(0).ids_size(), 12);
  EXPECT_EQ(free.completions(0).finish(), proto::FINISH_LENGTH);
  const Ids ids = IdsOf(free.completions(0));
  const std::int32_t stop = ids[3];
  const auto first = static_cast<int>(std::find(ids.begin(), ids.end(), stop) - ids.begin());

  const proto::SampleReply stopped = Run(Request({{1, 5, 9}}, 1, 12, 0), stop);
  EXPECT_EQ(stopped.completions(0).finish(), proto::FINISH_STOP);
  EXPECT_EQ(IdsOf(stopped.completions(0)), Ids(ids.begin(), ids.begin() + first + 1));
}

TEST_F(EngineTest, AStopTokenAtTheLimitIsAStop) {
  const Ids ids = IdsOf(Run(Request({{1, 5, 9}}, 1, 1, 0)).completions(0));
  EXPECT_EQ(Run(Request({{1, 5, 9}}, 1, 1, 0), ids[0]).completions(0).finish(), proto::FINISH_STOP);
}

TEST_F(EngineTest, SamplesThatStopEarlyLeaveTheOthersAlone) {
  const proto::SampleReply free = Run(Request(kPrompts, 4, 12, 1));
  const proto::SampleReply stopped = Run(Request(kPrompts, 4, 12, 1), 9);
  int stops = 0;
  for (int c = 0; c < free.completions_size(); ++c) {
    Ids want = IdsOf(free.completions(c));
    const auto at = std::find(want.begin(), want.end(), 9);
    const bool stop = at != want.end();
    if (stop) want.erase(at + 1, want.end());
    EXPECT_EQ(IdsOf(stopped.completions(c)), want) << c;
    EXPECT_EQ(stopped.completions(c).finish(), stop ? proto::FINISH_STOP : proto::FINISH_LENGTH);
    stops += stop ? 1 : 0;
  }
  EXPECT_GT(stops, 0);
  EXPECT_LT(stops, free.completions_size());
}

TEST_F(EngineTest, CountsTheTokensOfEachStep) {
  Engine engine(policy_, {.page_tokens = 4});
  std::vector<std::int64_t> steps;
  ASSERT_TRUE(engine.Run(Request(kPrompts, 2, 3, 1), [&](std::int64_t n) { steps.push_back(n); }));
  EXPECT_EQ(steps, (std::vector<std::int64_t>{8, 8, 8}));
}

TEST_F(EngineTest, SeesWeightsThatChangedBetweenCalls) {
  Engine engine(policy_, {.page_tokens = 4});
  const proto::SampleRequest request = Request({{1, 5, 9}}, 1, 8, 0);
  const Ids before = IdsOf(engine.Run(request).value().completions(0));
  {
    const at::NoGradGuard no_grad;
    const_cast<at::Tensor&>(policy_.head().leaf()).neg_();
  }
  EXPECT_NE(IdsOf(engine.Run(request).value().completions(0)), before);
}

TEST_F(EngineTest, NothingAskedIsNothingMade) {
  EXPECT_EQ(Run(Request({}, 1, 4, 1)).completions_size(), 0);
}

struct RefusalCase {
  const char* name;
  proto::SampleRequest request;
  const char* message;
};
void PrintTo(const RefusalCase& c, std::ostream* os) {
  *os << c.name;
}
const RefusalCase kRefusals[] = {
    {"EmptyPrompt", Request({{1}, {}}, 1, 4, 1), "prompt 1 has no tokens"},
    {"IdBeyondTheVocabulary", Request({{1, 16}}, 1, 4, 1),
     "token id 16 is outside the vocabulary of 16"},
    {"NegativeId", Request({{-1}}, 1, 4, 1), "outside the vocabulary"},
    {"TooLong", Request({Ids(250, 1)}, 1, 7, 1), "exceed max_position_embeddings 256"},
    {"NoNewTokens", Request({{1}}, 1, 0, 1), "max_new_tokens"},
};
class EngineRefusalTest : public EngineTest, public testing::WithParamInterface<RefusalCase> {};

TEST_P(EngineRefusalTest, NamesWhatIsWrongAndWorksOn) {
  Engine engine(policy_, {.page_tokens = 4});
  const auto reply = engine.Run(GetParam().request);
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().code, Code::kInvalidArgument);
  EXPECT_THAT(reply.error().message, HasSubstr(GetParam().message));
  EXPECT_TRUE(engine.Run(Request(kPrompts, 1, 4, 1)));
}
INSTANTIATE_TEST_SUITE_P(Table, EngineRefusalTest, testing::ValuesIn(kRefusals), [](const auto& p) {
  return std::string(p.param.name);
});

TEST_F(EngineTest, AsLongAsTheModelAllowsIsNotTooLong) {
  EXPECT_EQ(Run(Request({Ids(250, 1)}, 1, 6, 1)).completions(0).ids_size(), 6);
}

}  // namespace
}  // namespace aha::rollout
