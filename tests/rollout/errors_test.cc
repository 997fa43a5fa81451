// What goes wrong is one request's own: typed, and the engine serves the others.

#include <cmath>
#include <limits>

#include "tests/rollout/engine_fixture.h"

namespace aha::rollout {
namespace {

struct RefusalCase {
  std::string name;
  std::function<void(Request&)> spoil;
  Code code;
  std::string message;
};
void PrintTo(const RefusalCase& c, std::ostream* os) {
  *os << c.name;
}

const RefusalCase kRefusals[] = {
    {"NoPrompt", [](Request& r) { r.prompt.clear(); }, Code::kInvalidArgument,
     "the prompt has no tokens"},
    {"PromptBeyondPositions", [](Request& r) { r.prompt.assign(300, 2); }, Code::kInvalidArgument,
     "exceed max_position_embeddings 256"},
    {"GigabyteOfPrompt", [](Request& r) { r.prompt.assign(std::size_t{1} << 28U, 2); },
     Code::kInvalidArgument, "268435456 tokens"},
    {"NewTokensBeyondPositions", [](Request& r) { r.sampling.max_new_tokens = 4000000000; },
     Code::kInvalidArgument, "exceed max_position_embeddings 256"},
    {"NoNewTokens", [](Request& r) { r.sampling.max_new_tokens = 0; }, Code::kInvalidArgument,
     "max_new_tokens is 0"},
    {"NoSamples", [](Request& r) { r.samples = 0; }, Code::kInvalidArgument, "0 samples"},
    {"FourBillionSamples", [](Request& r) { r.samples = 4294967295U; }, Code::kExhausted,
     "most_queued"},
    {"IdTooLarge",
     [](Request& r) {
       r.prompt = {5, 96};
     },
     Code::kInvalidArgument, "token 1 of the prompt is 96"},
    {"IdNegative", [](Request& r) { r.prompt = {-1}; }, Code::kInvalidArgument,
     "token 0 of the prompt is -1"},
    {"TemperatureNegative", [](Request& r) { r.sampling.temperature = -1; }, Code::kInvalidArgument,
     "temperature"},
    {"TemperatureNotANumber", [](Request& r) { r.sampling.temperature = std::nanf(""); },
     Code::kInvalidArgument, "temperature"},
    {"TopPNegative", [](Request& r) { r.sampling.top_p = -0.5F; }, Code::kInvalidArgument, "top_p"},
    {"MinPAboveOne", [](Request& r) { r.sampling.min_p = 1.5; }, Code::kInvalidArgument, "min_p"},
    {"StopStringWithoutDecoder", [](Request& r) { r.stop_strings = {"x"}; }, Code::kInvalidArgument,
     "decoder"},
    {"DuplicateId", [](Request& r) { r.id = 1; }, Code::kBusy, "request 1 is under way already"},
    {"LargerThanTheCache",
     [](Request& r) {
       r.prompt.assign(150, 2);
       r.sampling.max_new_tokens = 60;
     },
     Code::kExhausted, "raise cache_bytes"},
};

class RefusalTest : public testing::TestWithParam<RefusalCase> {};

TEST_P(RefusalTest, IsTypedAndOthersAreServed) {
  static const policy::Weights weights = policy::Weights::Initial(
      TinyLatent(), KeyedRandom(3, "test"), policy::WeightsUse::kInference);
  Engine engine(weights, TestCpu(), WithPages(weights.config(), 6));
  Request good = MakeRequest(1, weights.config());
  good.prompt.resize(5, 3);
  good.sampling.max_new_tokens = 7;
  ASSERT_TRUE(engine.Add(good));
  Request bad = good;
  bad.id = 2;
  GetParam().spoil(bad);
  const Status refused = engine.Add(std::move(bad));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, GetParam().code) << refused.error().message;
  EXPECT_NE(refused.error().message.find(GetParam().message), std::string::npos)
      << refused.error().message;
  const std::vector<Outcome> outcomes = Drain(engine);
  ASSERT_EQ(outcomes.size(), 1U);
  EXPECT_EQ(outcomes[0].id, 1U);
  EXPECT_FALSE(outcomes[0].error);
  EXPECT_TRUE(engine.Add(good)) << "the id is free again";
}

INSTANTIATE_TEST_SUITE_P(Table, RefusalTest, testing::ValuesIn(kRefusals), [](const auto& p) {
  return p.param.name;
});

struct OptionsCase {
  std::string name;
  void (*spoil)(EngineOptions&);
  Code code;
  std::string message;
};
void PrintTo(const OptionsCase& c, std::ostream* os) {
  *os << c.name;
}

class OptionsTest : public testing::TestWithParam<OptionsCase> {};

// No waiting for what never comes, no memory behind the cache.
TEST_P(OptionsTest, OfAnEngineThatCanComputeNothingRefuseEveryRequest) {
  const policy::Weights weights = policy::Weights::Initial(TinyLatent(), KeyedRandom(3, "test"),
                                                           policy::WeightsUse::kInference);
  EngineOptions options;
  GetParam().spoil(options);
  Engine engine(weights, TestCpu(), options);
  const Status refused = engine.Add(MakeRequest(1, weights.config()));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, GetParam().code);
  EXPECT_NE(refused.error().message.find(GetParam().message), std::string::npos)
      << refused.error().message;
  EXPECT_FALSE(engine.Step());
}

const OptionsCase kOptions[] = {
    {"NoRows", [](EngineOptions& o) { o.most_rows = 0; }, Code::kInvalidArgument, "most_rows 0"},
    {"NoPrefill", [](EngineOptions& o) { o.prefill_tokens = 0; }, Code::kInvalidArgument,
     "prefill_tokens 0"},
    {"OddPages", [](EngineOptions& o) { o.page_tokens = 17; }, Code::kInvalidArgument,
     "page_tokens is 17"},
    {"NoCache", [](EngineOptions& o) { o.cache_bytes = 0; }, Code::kExhausted, "which has 0"},
};

INSTANTIATE_TEST_SUITE_P(Table, OptionsTest, testing::ValuesIn(kOptions), [](const auto& p) {
  return p.param.name;
});

void SpoilRow(policy::Weights& weights, const std::string& tensor, std::size_t row, float value) {
  const std::size_t t = weights.IndexOf(tensor).value();
  const std::vector<float> numbers(weights.tensors()[t].columns, value);
  weights.Write(t, row, policy::cpu::Rows<const float>(numbers.data(), 1, numbers.size()));
}

bool Draws(const Outcome& outcome, std::int32_t id) {
  return std::any_of(outcome.samples.begin(), outcome.samples.end(), [&](const SampleOutcome& s) {
    return std::find(s.ids.begin(), s.ids.end(), id) != s.ids.end();
  });
}

// Requests that meet token 95, in the prompt or by drawing it, meet what is not finite; the others
// keep their bits, also in pages that those had, and where 95 was a guess.
TEST(NotFiniteTest, FailsTheRequestsThatMeetItAndNoOthers) {
  const float nan = std::numeric_limits<float>::quiet_NaN(),
              infinity = std::numeric_limits<float>::infinity();
  for (const auto& [value, speculation] : {std::pair{nan, Speculation::kOff},
                                           {infinity, Speculation::kOff},
                                           {nan, Speculation::kModule},
                                           {infinity, Speculation::kModule}}) {
    policy::Weights weights = policy::Weights::Initial(TinyLatent(), KeyedRandom(3, "test"),
                                                       policy::WeightsUse::kInference);
    const auto run = [&, speculation = speculation] {
      Engine engine(
          weights, TestCpu(2),
          WithPages(
              weights.config(), 20,
              {.page_tokens = 16, .prefill_tokens = 24, .speculation = speculation, .drafts = 3}));
      for (std::uint64_t id = 0; id < 40; ++id) {
        Request r = MakeRequest(id, weights.config());
        std::replace(r.prompt.begin(), r.prompt.end(), 95, 94);
        if (id % 3 == 0) r.prompt[r.prompt.size() / 2] = 95;
        EXPECT_TRUE(engine.Add(std::move(r)));
      }
      return Drain(engine);
    };
    const std::vector<Outcome> want = run();
    SpoilRow(weights, "model.embed_tokens.weight", 95, value);
    const std::vector<Outcome> got = run();
    std::size_t kept = 0;
    for (std::size_t i = 0; i < want.size(); ++i) {
      if (got[i].id % 3 != 0 && !Draws(want[i], 95)) {
        EXPECT_FALSE(got[i].error);
        for (std::size_t s = 0; s < want[i].samples.size(); ++s) {
          EXPECT_EQ(got[i].samples[s].ids, want[i].samples[s].ids);
          EXPECT_EQ(got[i].samples[s].logprobs, want[i].samples[s].logprobs);
        }
        ++kept;
      } else if (got[i].id % 3 == 0) {
        ASSERT_TRUE(got[i].error) << got[i].id;
        EXPECT_NE(got[i].error->message.find("after the embedding is not finite"),
                  std::string::npos)
            << got[i].error->message;
        EXPECT_NE(got[i].error->message.find("(id 95)"), std::string::npos)
            << got[i].error->message;
      }
    }
    EXPECT_GT(kept, 5U);
  }
}

TEST(NotFiniteTest, NamesTheFirstLayer) {
  policy::Weights weights = policy::Weights::Initial(TinyLatent(), KeyedRandom(3, "test"),
                                                     policy::WeightsUse::kInference);
  SpoilRow(weights, "model.layers.1.self_attn.o_proj.weight", 3,
           std::numeric_limits<float>::quiet_NaN());
  Engine engine(weights, TestCpu(), WithPages(weights.config(), 20));
  ASSERT_TRUE(engine.Add(MakeRequest(1, weights.config())));
  const std::vector<Outcome> outcomes = Drain(engine);
  ASSERT_TRUE(outcomes[0].error);
  EXPECT_NE(outcomes[0].error->message.find("after layer 1 is not finite, first at token 0"),
            std::string::npos)
      << outcomes[0].error->message;
}

TEST(CancelTest, EndsARequestWhereverItIsAndLeavesTheOthersBits) {
  const policy::Weights weights = policy::Weights::Initial(TinyLatent(), KeyedRandom(3, "test"),
                                                           policy::WeightsUse::kInference);
  const auto run = [&](std::uint64_t cancel_every) {
    Engine engine(weights, TestCpu(),
                  WithPages(weights.config(), 14, {.page_tokens = 16, .prefill_tokens = 30}));
    for (std::uint64_t id = 0; id < 24; ++id)
      EXPECT_TRUE(engine.Add(MakeRequest(id, weights.config())));
    for (std::uint64_t step = 0; engine.Step(); ++step) {
      if (cancel_every > 0 && step % cancel_every == 0) engine.Cancel(step / cancel_every * 2 + 1);
    }
    std::vector<Outcome> all = engine.TakeOutcomes();
    std::sort(all.begin(), all.end(),
              [](const Outcome& a, const Outcome& b) { return a.id < b.id; });
    return all;
  };
  const std::vector<Outcome> whole = run(0);
  const std::vector<Outcome> some = run(4);
  ASSERT_EQ(some.size(), whole.size());
  std::size_t cancelled = 0;
  for (std::size_t i = 0; i < some.size(); ++i) {
    for (std::size_t s = 0; s < some[i].samples.size(); ++s) {
      const SampleOutcome &got = some[i].samples[s], &want = whole[i].samples[s];
      cancelled += got.finish == Finish::kCancelled ? 1 : 0;
      ASSERT_LE(got.ids.size(), want.ids.size());
      EXPECT_TRUE(std::equal(got.ids.begin(), got.ids.end(), want.ids.begin()));
      if (got.finish != Finish::kCancelled) {
        EXPECT_EQ(got.ids, want.ids);
      }
    }
  }
  EXPECT_GT(cancelled, 5U);
}

TEST(CancelTest, KnowsItsIds) {
  const policy::Weights weights = policy::Weights::Initial(TinyLatent(), KeyedRandom(3, "test"),
                                                           policy::WeightsUse::kInference);
  Engine engine(weights, TestCpu(), WithPages(weights.config(), 14));
  EXPECT_FALSE(engine.Cancel(3)) << "no such request";
  ASSERT_TRUE(engine.Add(MakeRequest(3, weights.config())));
  EXPECT_TRUE(engine.Cancel(3));
  EXPECT_FALSE(engine.Cancel(3)) << "cancelled already";
  const Status again = engine.Add(MakeRequest(3, weights.config()));
  ASSERT_FALSE(again) << "it ends with the next step";
  EXPECT_EQ(again.error().code, Code::kBusy);
  ASSERT_EQ(Drain(engine).size(), 1U);
  EXPECT_FALSE(engine.Cancel(3)) << "over";
  EXPECT_TRUE(engine.Add(MakeRequest(3, weights.config())));
  EXPECT_EQ(Drain(engine)[0].samples[0].finish == Finish::kCancelled, false);
}

TEST(CallbackTest, HearsEveryTokenAndMayAddAndCancel) {
  const policy::Weights weights = policy::Weights::Initial(TinyLatent(), KeyedRandom(3, "test"),
                                                           policy::WeightsUse::kInference);
  Engine engine(weights, TestCpu(), WithPages(weights.config(), 64));
  std::vector<std::vector<std::int32_t>> heard(4);
  Request request = MakeRequest(1, weights.config());
  request.samples = 4;
  request.stop_ids.clear();
  request.sampling = {.temperature = 1, .max_new_tokens = 30};
  request.on_token = [&](const TokenEvent& event) {
    EXPECT_EQ(event.position, heard[event.sample].size());
    heard[event.sample].push_back(event.id);
    if (event.sample == 0 && event.position == 5) {
      Request more = MakeRequest(2, weights.config());
      EXPECT_TRUE(engine.Add(more));
    }
    if (event.sample == 3 && event.position == 20) {
      EXPECT_TRUE(engine.Cancel(1));
    }
  };
  ASSERT_TRUE(engine.Add(request));
  const std::vector<Outcome> outcomes = Drain(engine);
  ASSERT_EQ(outcomes.size(), 2U);
  for (std::size_t s = 0; s < 4; ++s) {
    EXPECT_EQ(outcomes[0].samples[s].ids, heard[s]);
    EXPECT_EQ(heard[s].size(), 21U);
    EXPECT_EQ(outcomes[0].samples[s].finish, Finish::kCancelled);
  }
  EXPECT_NE(outcomes[1].samples[0].finish, Finish::kCancelled);
}

}  // namespace
}  // namespace aha::rollout
