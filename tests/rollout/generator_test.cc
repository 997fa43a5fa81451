// The generator for GPUs, on the CPU's tensors and with its kernels run lane by lane, beside the
// engine.

#include "rollout/cuda/generator.h"

#include "policy/cuda/device.h"
#include "tests/policy/tiny_weights.h"
#include "tests/rollout/engine_fixture.h"

namespace aha::rollout {
namespace {

struct Model {
  const char* name;
  policy::PolicyConfig config;
};

class GeneratorTest : public testing::TestWithParam<Model> {
 protected:
  const policy::Weights weights_ =
      policy::TinyWeights(GetParam().config, policy::WeightsUse::kInference);

  static GeneratorOptions Options() {
    GeneratorOptions options;
    options.page_tokens = 8;
    options.prefill_tokens = 24;
    options.most_rows = 3;  // so that a group of four takes two waves
    return options;
  }

  // `nearly`: of log-probabilities.
  void ExpectTheEngines(Generator& generator, double nearly) const {
    Engine engine(weights_, TestCpu(), WithPages(weights_.config(), 64));
    std::size_t tokens = 0, stopped = 0;
    for (std::uint64_t id = 0; id < 8; ++id) {
      Request request = MakeRequest(id, weights_.config());
      request.sampling.max_new_tokens = std::min(request.sampling.max_new_tokens, 20U);
      ASSERT_TRUE(engine.Add(request));
      const std::vector<Outcome> want = Drain(engine);
      const Result<Outcome> got = generator.Run(request);
      ASSERT_TRUE(got) << got.error().message;
      ASSERT_EQ(got->samples.size(), want[0].samples.size());
      for (std::size_t s = 0; s < got->samples.size(); ++s) {
        const SampleOutcome &mine = got->samples[s], &engines = want[0].samples[s];
        EXPECT_EQ(mine.ids, engines.ids) << "request " << id << ", sample " << s;
        EXPECT_EQ(mine.finish, engines.finish);
        ASSERT_EQ(mine.logprobs.size(), engines.logprobs.size());
        for (std::size_t i = 0; i < mine.logprobs.size(); ++i)
          EXPECT_NEAR(mine.logprobs[i], engines.logprobs[i], nearly) << "token " << i;
        tokens += mine.ids.size();
        stopped += mine.finish == Finish::kStop ? 1 : 0;
      }
    }
    EXPECT_GT(tokens, 100U);
    EXPECT_GT(stopped, 0U);
  }
};

TEST_P(GeneratorTest, GivesTheEnginesCompletions) {
  ExpectTheEngines(*HostGenerator(weights_, Options()), 2e-5);
}

TEST_P(GeneratorTest, GivesTheEnginesCompletionsOnAGpu) {
  const Result<std::unique_ptr<Generator>> generator = CudaGenerator(weights_, Options());
  if (!generator && generator.error().code == Code::kNotFound)
    GTEST_SKIP() << generator.error().message;
  ASSERT_TRUE(generator) << generator.error().message;
  ExpectTheEngines(**generator, 1e-4);
}

INSTANTIATE_TEST_SUITE_P(Models,
                         GeneratorTest,
                         testing::Values(Model{"Latent", TinyLatent(policy::NumberType::kFp32, 0)},
                                         Model{"Grouped", TinyGrouped(policy::NumberType::kFp32)}),
                         [](const auto& p) { return std::string(p.param.name); });

TEST(GeneratorErrorsTest, RefusesWhatItsCacheCannotHold) {
  const policy::Weights weights =
      policy::TinyWeights(TinyGrouped(policy::NumberType::kFp32), policy::WeightsUse::kInference);
  GeneratorOptions options;
  options.cache_bytes = 1 << 14;
  Request request;
  request.prompt = {2, 3};
  request.sampling.max_new_tokens = 200;
  const Result<Outcome> outcome = HostGenerator(weights, options)->Run(request);
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().code, Code::kExhausted);
  EXPECT_NE(outcome.error().message.find("raise cache_bytes"), std::string::npos);
}

TEST(GeneratorErrorsTest, WithoutADeviceItSaysSoInOneLine) {
  if (policy::cuda::FindDevice()) GTEST_SKIP() << "there is one";
  const policy::Weights weights =
      policy::TinyWeights(TinyGrouped(policy::NumberType::kFp32), policy::WeightsUse::kInference);
  const Result<std::unique_ptr<Generator>> generator = CudaGenerator(weights, {});
  ASSERT_FALSE(generator);
  EXPECT_EQ(generator.error().code, Code::kNotFound);
  EXPECT_EQ(generator.error().message.rfind("no CUDA device: ", 0), 0U);
  EXPECT_EQ(generator.error().message.find('\n'), std::string::npos);
}

TEST(GeneratorErrorsTest, RefusesARequestAsTheEngineDoes) {
  const policy::Weights weights =
      policy::TinyWeights(TinyGrouped(policy::NumberType::kFp32), policy::WeightsUse::kInference);
  Request request;
  request.prompt = {2, 9999};
  const Result<Outcome> outcome = HostGenerator(weights, {})->Run(request);
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().code, Code::kInvalidArgument);
}

}  // namespace
}  // namespace aha::rollout
