// The engine's entry for messages.

#include <algorithm>
#include <set>

#include <gmock/gmock.h>

#include "tests/rollout/engine_fixture.h"

namespace aha::rollout {
namespace {

using testing::HasSubstr;

using Ids = std::vector<std::int32_t>;

// Groups with the prompts' places as their ids, `samples` of each.
proto::SampleRequest Unit(const std::vector<Ids>& prompts,
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

const std::vector<Ids> kPrompts = {{1, 5, 9},
                                   {4},
                                   {7, 2, 2, 11},
                                   {3, 3, 3, 3, 3, 3, 3, 3, 8},
                                   Ids(32, 6)};

class UnitTest : public testing::Test {
 protected:
  EngineOptions Options(std::int32_t stop = -1) {
    return WithPages(weights_.config(), 300,
                     {.stop_ids = stop < 0 ? Ids{} : Ids{stop}, .page_tokens = 16});
  }
  proto::SampleReply Run(const proto::SampleRequest& unit, std::int32_t stop = -1) {
    Engine engine(weights_, TestCpu(), Options(stop));
    auto reply = engine.Run(unit);
    EXPECT_TRUE(reply) << reply.error().message;
    return reply.value_or(proto::SampleReply());
  }
  policy::Weights weights_ = policy::Weights::Initial(TinyLatent(policy::NumberType::kFp32),
                                                      KeyedRandom(3, "test"),
                                                      policy::WeightsUse::kInference);
};

// Greedy: every token is the likeliest after a pass over the whole sequence so far, without a
// cache.
TEST_F(UnitTest, GreedyIsTheArgmaxStepByStepWithoutACache) {
  const proto::SampleReply reply = Run(Unit(kPrompts, 1, 9, 0));
  ASSERT_EQ(reply.completions_size(), static_cast<int>(kPrompts.size()));
  policy::Pass pass(weights_, TestCpu());
  policy::Head head(weights_, TestCpu());
  for (std::size_t p = 0; p < kPrompts.size(); ++p) {
    Ids ids = kPrompts[p];
    Ids want;
    for (int k = 0; k < 9; ++k) {
      const std::vector<policy::SequenceTokens> whole = {{ids, 0, {}}};
      const policy::Hidden hidden = pass.Forward({whole, nullptr});
      std::vector<float> logits(96);
      const std::vector<std::int32_t> last = {static_cast<std::int32_t>(ids.size()) - 1};
      head.Logits(hidden, last, policy::cpu::Rows<float>(logits.data(), 1, 96));
      want.push_back(static_cast<std::int32_t>(std::max_element(logits.begin(), logits.end()) -
                                               logits.begin()));
      ids.push_back(want.back());
    }
    EXPECT_EQ(IdsOf(reply.completions(static_cast<int>(p))), want) << "prompt " << p;
  }
}

TEST_F(UnitTest, TheSameRequestGivesTheSameBytes) {
  const proto::SampleRequest request = Unit(kPrompts, 4, 12, 1);
  Engine engine(weights_, TestCpu(), Options());
  const std::string first = engine.Run(request).value().SerializeAsString();
  EXPECT_TRUE(engine.Run(Unit({{1, 2}}, 1, 3, 1)));  // what came between leaves nothing behind
  EXPECT_EQ(engine.Run(request).value().SerializeAsString(), first);
  EXPECT_EQ(Run(request).SerializeAsString(), first);
}

TEST_F(UnitTest, EveryPartOfTheKeyChangesTheDraws) {
  const proto::SampleRequest request = Unit({{1, 5, 9}}, 2, 16, 1);
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

TEST_F(UnitTest, CompletionsBearTheirKeysInTheRequestsOrder) {
  const proto::SampleReply reply = Run(Unit(kPrompts, 2, 3, 1));
  EXPECT_EQ(reply.unit(), 5U);
  EXPECT_EQ(reply.weights_version(), 7U);
  ASSERT_EQ(reply.completions_size(), 10);
  for (int c = 0; c < 10; ++c) {
    const proto::Completion& completion = reply.completions(c);
    EXPECT_EQ(completion.key().seed(), 3U);
    EXPECT_EQ(completion.key().stage(), "zero");
    EXPECT_EQ(completion.key().visit(), 9U);
    EXPECT_EQ(completion.key().prompt_id(), static_cast<std::uint64_t>(c / 2));
    EXPECT_EQ(completion.key().sample(), static_cast<std::uint32_t>(c % 2));
    EXPECT_EQ(completion.weights_version(), 7U);
  }
}

TEST_F(UnitTest, StopsAtTheStopTokenOrTheLimit) {
  const proto::SampleReply free = Run(Unit({{1, 5, 9}}, 1, 12, 0));
  ASSERT_EQ(free.completions(0).ids_size(), 12);
  EXPECT_EQ(free.completions(0).finish(), proto::FINISH_LENGTH);
  const Ids ids = IdsOf(free.completions(0));
  const std::int32_t stop = ids[3];
  const auto first = static_cast<int>(std::find(ids.begin(), ids.end(), stop) - ids.begin());

  const proto::SampleReply stopped = Run(Unit({{1, 5, 9}}, 1, 12, 0), stop);
  EXPECT_EQ(stopped.completions(0).finish(), proto::FINISH_STOP);
  EXPECT_EQ(IdsOf(stopped.completions(0)), Ids(ids.begin(), ids.begin() + first + 1));
}

TEST_F(UnitTest, AStopTokenAtTheLimitIsAStop) {
  const Ids ids = IdsOf(Run(Unit({{1, 5, 9}}, 1, 1, 0)).completions(0));
  EXPECT_EQ(Run(Unit({{1, 5, 9}}, 1, 1, 0), ids[0]).completions(0).finish(), proto::FINISH_STOP);
}

TEST_F(UnitTest, SamplesThatStopEarlyLeaveTheOthersAlone) {
  const proto::SampleReply free = Run(Unit(kPrompts, 4, 12, 1));
  const proto::SampleReply stopped = Run(Unit(kPrompts, 4, 12, 1), 9);
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

TEST_F(UnitTest, CountsTheTokensOfEachStep) {
  Engine engine(weights_, TestCpu(), Options());
  std::vector<std::int64_t> steps;
  ASSERT_TRUE(engine.Run(Unit(kPrompts, 2, 3, 1),
                         {.on_tokens = [&](std::int64_t n) { steps.push_back(n); }}));
  EXPECT_EQ(steps, (std::vector<std::int64_t>{10, 10, 10}));
}

TEST_F(UnitTest, NothingAskedIsNothingMade) {
  EXPECT_EQ(Run(Unit({}, 1, 4, 1)).completions_size(), 0);
}

TEST_F(UnitTest, BillionsOfSamplesAreRefusedBeforeThereIsRoomMadeForThem) {
  Engine engine(weights_, TestCpu(), Options());
  const auto refused = engine.Run(Unit(kPrompts, 4000000000U, 4, 1));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kExhausted);
  EXPECT_THAT(refused.error().message, HasSubstr("20000000000 samples"));
  EXPECT_TRUE(engine.Run(Unit(kPrompts, 1, 4, 1)));
}

TEST_F(UnitTest, AsLongAsTheModelAllowsIsNotTooLong) {
  EXPECT_EQ(Run(Unit({Ids(250, 1)}, 1, 6, 1)).completions(0).ids_size(), 6);
}

// A prompt of 64 tokens is four pages; 16 samples of 4 tokens are 16 more when they share it, and
// all run at once.
TEST_F(UnitTest, AGroupsSamplesShareTheirPrompt) {
  const proto::SampleRequest unit = Unit({Ids(64, 6)}, 16, 4, 1);
  Engine engine(weights_, TestCpu(), WithPages(weights_.config(), 22, {.page_tokens = 16}));
  const auto reply = engine.Run(unit);
  ASSERT_TRUE(reply) << reply.error().message;
  EXPECT_EQ(reply->completions_size(), 16);
  EXPECT_EQ(engine.totals().preemptions, 0U);
  EXPECT_EQ(engine.totals().steps, 4U);
  EXPECT_EQ(engine.totals().forward_tokens, 64U + 16U * 3U);
}

TEST_F(UnitTest, SeesWeightsThatChangedBetweenCalls) {
  Engine engine(weights_, TestCpu(), Options());
  proto::SampleRequest unit = Unit({{1, 5, 9}}, 1, 8, 0);
  const Ids before = IdsOf(engine.Run(unit).value().completions(0));
  weights_.CopyFrom(policy::Weights::Initial(weights_.config(), KeyedRandom(4, "test"),
                                             policy::WeightsUse::kInference));
  unit.set_weights_version(8);
  const auto after = engine.Run(unit).value();
  EXPECT_NE(IdsOf(after.completions(0)), before);
  EXPECT_EQ(after.completions(0).weights_version(), 8U);
  EXPECT_EQ(after.completions(0).versions_size(), 0);
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
    {"EmptyPrompt", Unit({{1}, {}}, 1, 4, 1), "prompt 1: request 1: the prompt has no tokens"},
    {"IdBeyondTheVocabulary", Unit({{1, 96}}, 1, 4, 1),
     "token 1 of the prompt is 96, outside the vocabulary of 96"},
    {"NegativeId", Unit({{-1}}, 1, 4, 1), "outside the vocabulary"},
    {"TooLong", Unit({Ids(250, 1)}, 1, 7, 1), "exceed max_position_embeddings 256"},
    {"NoNewTokens", Unit({{1}}, 1, 0, 1), "max_new_tokens"},
};
class UnitRefusalTest : public UnitTest, public testing::WithParamInterface<RefusalCase> {};

TEST_P(UnitRefusalTest, NamesWhatIsWrongAndWorksOn) {
  Engine engine(weights_, TestCpu(), Options());
  const auto reply = engine.Run(GetParam().request);
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().code, Code::kInvalidArgument);
  EXPECT_THAT(reply.error().message, HasSubstr(GetParam().message));
  EXPECT_TRUE(engine.Run(Unit(kPrompts, 1, 4, 1)));
}
INSTANTIATE_TEST_SUITE_P(Table, UnitRefusalTest, testing::ValuesIn(kRefusals), [](const auto& p) {
  return std::string(p.param.name);
});

}  // namespace
}  // namespace aha::rollout
