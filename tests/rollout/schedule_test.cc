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

}  // namespace
}  // namespace aha::rollout
