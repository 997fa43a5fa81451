// Decoding asks the allocator for nothing, once warm; samples of one prompt hold it once.

#include "tests/rollout/allocation_counter.h"
#include "tests/rollout/engine_fixture.h"

namespace aha::rollout {
namespace {

struct MemoryCase {
  std::string name;
  policy::PolicyConfig config;
  Speculation speculation;
};
void PrintTo(const MemoryCase& c, std::ostream* os) {
  *os << c.name;
}

class MemoryTest : public testing::TestWithParam<MemoryCase> {};

constexpr int kSteps = 40;

// Allocations of kSteps steps of decoding.
void CountWhenWarm(const MemoryCase& c, int threads, std::size_t& count) {
  const policy::Weights weights =
      policy::Weights::Initial(c.config, KeyedRandom(3, "test"), policy::WeightsUse::kInference);
  Engine engine(weights, TestCpu(threads),
                WithPages(weights.config(), 300, {.speculation = c.speculation, .drafts = 2}));
  const auto add = [&](std::uint64_t id) {
    Request request = MakeRequest(id, weights.config());
    request.prompt.resize(20, 5);
    request.stop_ids.clear();
    request.samples = 8;
    request.sampling = {.temperature = 1, .top_k = id % 2 == 0 ? 7U : 0U, .max_new_tokens = 150};
    ASSERT_TRUE(engine.Add(request));
  };
  // Warm: the same shapes once before.
  for (std::uint64_t id = 0; id < 4; ++id)
    add(id);
  Drain(engine);
  for (std::uint64_t id = 0; id < 4; ++id)
    add(id);
  for (int step = 0; step < 10; ++step)
    engine.Step();
  const std::size_t before = AllocationCount();
  const std::uint64_t drawn = engine.totals().drawn;
  for (int step = 0; step < kSteps; ++step)
    ASSERT_TRUE(engine.Step());
  count = AllocationCount() - before;
  EXPECT_GE(engine.totals().drawn - drawn, kSteps * 32U);
}

TEST_P(MemoryTest, DecodingAllocatesNothingOnceWarm) {
  if (!AllocationsAreCounted()) GTEST_SKIP() << "a sanitizer's allocator";
  std::size_t count = 0;
  ASSERT_NO_FATAL_FAILURE(CountWhenWarm(GetParam(), 1, count));
  EXPECT_EQ(count, 0U);
}

// A second thread makes its scratch when work first comes its way, which may be late on a busy
// machine.
TEST_P(MemoryTest, OfTwoThreadsEachMakesItsScratchOnce) {
  if (!AllocationsAreCounted()) GTEST_SKIP() << "a sanitizer's allocator";
  std::size_t count = 0;
  ASSERT_NO_FATAL_FAILURE(CountWhenWarm(GetParam(), 2, count));
  EXPECT_LT(count, std::size_t{kSteps});
}

INSTANTIATE_TEST_SUITE_P(
    Table,
    MemoryTest,
    testing::Values(MemoryCase{"Latent", TinyLatent(), Speculation::kOff},
                    MemoryCase{"Grouped", TinyGrouped(), Speculation::kOff},
                    MemoryCase{"LatentModule", TinyLatent(), Speculation::kModule},
                    MemoryCase{"GroupedLookup", TinyGrouped(), Speculation::kLookup}),
    [](const auto& p) { return p.param.name; });

TEST(SharedPromptTest, SixteenSamplesHoldTheirPromptOnceAndComputeItOnce) {
  policy::PolicyConfig config = TinyGrouped();
  config.max_position_embeddings = 1024;
  const policy::Weights weights =
      policy::Weights::Initial(config, KeyedRandom(3, "test"), policy::WeightsUse::kInference);
  constexpr std::size_t kPrompt = 512, kNew = 65, kSamples = 16;
  EngineOptions options;
  options.page_tokens = 16;
  Engine engine(weights, TestCpu(), options);
  Request request = MakeRequest(1, config);
  request.prompt.assign(kPrompt, 5);
  request.samples = kSamples;
  request.stop_ids.clear();
  request.stop_strings.clear();
  request.sampling = {.temperature = 1, .max_new_tokens = kNew};
  ASSERT_TRUE(engine.Add(request));
  Drain(engine);
  // A sample's last token is drawn and needs no key.
  EXPECT_EQ(engine.totals().forward_tokens, kPrompt + kSamples * (kNew - 1));
  const double ideal = kPrompt + kSamples * (kNew - 1);
  EXPECT_LE(static_cast<double>(engine.totals().most_pages * options.page_tokens), 1.05 * ideal);
}

}  // namespace
}  // namespace aha::rollout
