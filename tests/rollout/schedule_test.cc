// What a request gives depends on its key and the weights alone: not on arrivals, pool, chunks,
// threads or guesses.

#include "tests/rollout/engine_fixture.h"

namespace aha::rollout {
namespace {

constexpr std::uint64_t kRequests = 24;

policy::PolicyConfig ConfigOf(const std::string& name) {
  if (name == "Latent") return TinyLatent();
  if (name == "LatentFp32") return TinyLatent(policy::NumberType::kFp32);
  return TinyGrouped();
}

// Requests one after another, each alone in the engine.
std::vector<Outcome> OneByOne(const policy::Weights& weights) {
  std::vector<Outcome> all;
  Engine engine(weights, TestCpu(1), WithPages(weights.config(), 64));
  for (std::uint64_t id = 0; id < kRequests; ++id) {
    EXPECT_TRUE(engine.Add(MakeRequest(id, weights.config())));
    for (Outcome& outcome : Drain(engine))
      all.push_back(std::move(outcome));
  }
  return all;
}

struct ScheduleCase {
  std::string name;
  std::size_t pages = 200, page_tokens = 32, most_rows = 256, prefill_tokens = 512;
  int threads = 1;
  bool staggered = false;  // arrivals between steps
  Speculation speculation = Speculation::kOff;
  std::size_t drafts = 3;
  bool preempts = false;
};
void PrintTo(const ScheduleCase& c, std::ostream* os) {
  *os << c.name;
}

const ScheduleCase kCases[] = {
    {.name = "AllAtOnce"},
    {.name = "TwoThreads", .threads = 2},
    {.name = "SmallPages", .page_tokens = 16},
    {.name = "FewRows", .most_rows = 3},
    {.name = "ChunksOf7", .prefill_tokens = 7},
    {.name = "ChunksOf1", .prefill_tokens = 1},
    {.name = "Staggered", .prefill_tokens = 33, .staggered = true},
    {.name = "Preempted", .pages = 14, .page_tokens = 16, .preempts = true},
    {.name = "PreemptedStaggeredTwoThreads",
     .pages = 16,
     .page_tokens = 16,
     .prefill_tokens = 20,
     .threads = 2,
     .staggered = true,
     .preempts = true},
    {.name = "Lookup", .speculation = Speculation::kLookup},
    {.name = "LookupPreempted",
     .pages = 14,
     .page_tokens = 16,
     .speculation = Speculation::kLookup,
     .preempts = true},
    {.name = "Module", .speculation = Speculation::kModule, .drafts = 1},
    {.name = "ModuleThreeDrafts",
     .page_tokens = 16,
     .prefill_tokens = 19,
     .threads = 2,
     .staggered = true,
     .speculation = Speculation::kModule},
    {.name = "ModulePreempted",
     .pages = 15,
     .page_tokens = 16,
     .speculation = Speculation::kModule,
     .preempts = true},
};

class ScheduleTest : public testing::TestWithParam<std::tuple<std::string, ScheduleCase>> {};

TEST_P(ScheduleTest, GivesTheBitsOfRequestsAlone) {
  const auto& [model, c] = GetParam();
  const policy::Weights weights = policy::Weights::Initial(ConfigOf(model), KeyedRandom(3, "test"),
                                                           policy::WeightsUse::kInference);
  EngineOptions options{.page_tokens = c.page_tokens,
                        .most_rows = c.most_rows,
                        .prefill_tokens = c.prefill_tokens,
                        .speculation = c.speculation,
                        .drafts = c.drafts};
  Engine engine(weights, TestCpu(c.threads), WithPages(weights.config(), c.pages, options));
  for (std::uint64_t id = 0; id < kRequests; ++id) {
    ASSERT_TRUE(engine.Add(MakeRequest(id, weights.config())));
    const std::int64_t steps = c.staggered ? KeyedRandom(1, "arrivals").Integer(id, 0, 9) : 0;
    for (std::int64_t s = 0; s < steps; ++s)
      engine.Step();
  }
  ExpectSame(Drain(engine), OneByOne(weights));
  EXPECT_EQ(engine.totals().preemptions > 0, c.preempts);
  const bool speculates = c.speculation == Speculation::kLookup ||
                          (c.speculation == Speculation::kModule && weights.mtp());
  EXPECT_EQ(engine.totals().drafted > 0, speculates);
  RecordProperty("accepted", std::to_string(engine.totals().accepted) + "/" +
                                 std::to_string(engine.totals().drafted));
}

INSTANTIATE_TEST_SUITE_P(Table,
                         ScheduleTest,
                         testing::Combine(testing::Values("Latent", "LatentFp32", "Grouped"),
                                          testing::ValuesIn(kCases)),
                         [](const auto& p) {
                           return std::get<0>(p.param) + std::get<1>(p.param).name;
                         });

class ParityTest : public testing::TestWithParam<std::string> {};

TEST_P(ParityTest, LogprobsAreTheLearnersBitForBit) {
  const policy::Weights weights = policy::Weights::Initial(
      ConfigOf(GetParam()), KeyedRandom(3, "test"), policy::WeightsUse::kInference);
  std::size_t tokens = 0;
  for (const Outcome& outcome : OneByOne(weights)) {
    const Request request = MakeRequest(outcome.id, weights.config());
    for (const SampleOutcome& sample : outcome.samples) {
      EXPECT_EQ(sample.logprobs, WholeLogprobs(weights, TestCpu(2), request, sample.ids));
      tokens += sample.ids.size();
    }
  }
  EXPECT_GT(tokens, 500U);
}

INSTANTIATE_TEST_SUITE_P(Table,
                         ParityTest,
                         testing::Values("Latent", "LatentFp32", "Grouped"),
                         [](const auto& p) { return p.param; });

TEST(SwapTest, EachTokenIsOfOneVersionAndItsLogprobOfThatVersionsWholeSequence) {
  for (const bool small : {false, true}) {
    policy::Weights weights = policy::Weights::Initial(TinyLatent(), KeyedRandom(3, "test"),
                                                       policy::WeightsUse::kInference);
    std::vector<policy::Weights> versions;
    for (std::uint64_t v = 0; v < 4; ++v) {
      versions.push_back(policy::Weights::Initial(TinyLatent(), KeyedRandom(3 + v, "test"),
                                                  policy::WeightsUse::kInference));
    }
    EngineOptions options{.page_tokens = 16,
                          .prefill_tokens = 40,
                          .speculation = small ? Speculation::kModule : Speculation::kOff};
    Engine engine(weights, TestCpu(2), WithPages(weights.config(), small ? 15 : 200, options));
    for (std::uint64_t id = 0; id < kRequests; ++id)
      ASSERT_TRUE(engine.Add(MakeRequest(id, weights.config())));
    std::uint64_t version = 0;
    for (int step = 0; engine.Step(); ++step) {
      if (step % 11 != 10) continue;
      version = std::min<std::uint64_t>(version + 1, 3);
      weights.CopyFrom(versions[version]);
      engine.SwapWeights(version);
    }
    std::size_t mixed = 0;
    for (const Outcome& outcome : engine.TakeOutcomes()) {
      for (const SampleOutcome& sample : outcome.samples) {
        mixed += sample.versions.size() > 1 ? 1 : 0;
        std::vector<std::vector<float>> by_version;
        for (const policy::Weights& w : versions)
          by_version.push_back(
              WholeLogprobs(w, TestCpu(1), MakeRequest(outcome.id, w.config()), sample.ids));
        for (std::size_t r = 0; r < sample.versions.size(); ++r) {
          const std::size_t end =
              r + 1 < sample.versions.size() ? sample.versions[r + 1].first : sample.ids.size();
          for (std::size_t i = sample.versions[r].first; i < end; ++i)
            ASSERT_EQ(sample.logprobs[i], by_version[sample.versions[r].version][i]);
        }
      }
    }
    EXPECT_GT(mixed, 5U);
  }
}

// Guesses change no bit of the output, so what they are needs a test of its own: the module's pass
// over the whole sequence, with each position's draw, says which guesses are right, and the engine
// must find exactly those.
TEST(ModuleTest, GuessesAreThoseOfTheModulesPassOverTheWholeSequence) {
  const policy::Weights weights = policy::Weights::Initial(TinyLatent(), KeyedRandom(3, "test"),
                                                           policy::WeightsUse::kInference);
  std::size_t right_in_all = 0;
  for (const std::uint32_t samples : {1U, 3U}) {
    for (std::uint64_t id = 0; id < 12; ++id) {
      Request request = MakeRequest(id, weights.config());
      request.samples = samples;
      request.stop_ids.clear();
      // A small choice, so that guesses of a module without training are right now and then.
      request.sampling = {.temperature = 1, .top_k = 3, .max_new_tokens = 40};
      Engine engine(weights, TestCpu(),
                    WithPages(weights.config(), 100,
                              {.page_tokens = 16,
                               .prefill_tokens = 13,
                               .speculation = Speculation::kModule,
                               .drafts = 1}));
      ASSERT_TRUE(engine.Add(request));
      const std::vector<Outcome> outcomes = Drain(engine);
      std::size_t looked_at = 0, right = 0;
      for (std::uint32_t s = 0; s < samples; ++s) {
        const std::vector<std::int32_t>& drawn = outcomes[0].samples[s].ids;
        std::vector<std::int32_t> ids = request.prompt;
        ids.insert(ids.end(), drawn.begin(), drawn.end());
        const std::vector<policy::SequenceTokens> whole = {{ids, 0, {}}};
        const std::vector<policy::SequenceTokens> shifted = {
            {std::span<const std::int32_t>(ids).subspan(1), 0, {}}};
        policy::Pass pass(weights, TestCpu());
        policy::Head head(weights, TestCpu());
        policy::Hidden trunk = pass.Forward({whole, nullptr});
        trunk.tokens -= 1;
        const policy::Hidden ahead = pass.ForwardMtp({shifted, nullptr}, trunk);
        // Entry i predicts token i + 2.
        // A chunk that leaves one token of the prompt ends in an entry that guesses the first token
        // too.
        const bool guesses_first =
            samples == 1 && request.prompt.size() % 13 == 1 && request.prompt.size() > 1;
        for (std::size_t k = guesses_first ? 0 : 1; k < drawn.size();) {
          if (drawn.size() - k < 2) break;  // no guess for the last token
          const std::vector<std::int32_t> row = {
              static_cast<std::int32_t>(request.prompt.size() + k) - 2};
          policy::cpu::SampleRequest draw{1, request.random.With(s).Uniform(k)};
          draw.top_k = 3;
          policy::cpu::SampledToken guess;
          head.Sample(ahead, row, {&draw, 1}, {&guess, 1});
          ++looked_at;
          const bool is_right = guess.token == drawn[k];
          right += is_right ? 1 : 0;
          k += is_right ? 2 : 1;
        }
      }
      EXPECT_EQ(engine.totals().drafted, looked_at) << "request " << id << ", samples " << samples;
      EXPECT_EQ(engine.totals().accepted, right) << "request " << id << ", samples " << samples;
      right_in_all += right;
    }
  }
  EXPECT_GT(right_in_all, 20U);
}

}  // namespace
}  // namespace aha::rollout
