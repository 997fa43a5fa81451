// A prompt's samples that compute it once: log-probabilities of the same bits as those of whole
// sequences, the same gradient, and no bit of it hangs on how the group is cut.

#include <cmath>
#include <cstring>

#include "base/keyed_random.h"
#include "policy/training/targets.h"
#include "tests/policy/pass/golden_model.h"

namespace aha::policy {
namespace {

struct Found {
  std::vector<float> logprobs, gradient;
};

struct Setting {
  int threads = 1;
  bool recompute = false;
};

// Forward, slopes, backward of one batch after the other.
Found Learn(const Weights& weights,
            const std::vector<TargetSequences>& batches,
            const Setting& setting = {}) {
  const cpu::Cpu cpu(*cpu::ChooseKernelTarget(), setting.threads);
  Pass pass(weights, cpu);
  Head head(weights, cpu);
  Gradients gradients(weights);
  Tape tape(setting.recompute);
  ContextSums sums;
  Found found;
  for (const TargetSequences& sequences : batches) {
    const BatchRows rows(sequences);
    const Targets targets = TargetsOf(sequences);
    const Hidden hidden = pass.Forward(rows.batch(), {.tape = &tape});
    std::vector<float> slopes, logprobs(targets.row_N.size());
    for (std::size_t n = 0; n < logprobs.size(); ++n)
      slopes.push_back(0.01F * static_cast<float>((targets.token_N[n] * 7) % 5 - 2));
    std::vector<float> dhidden(hidden.tokens * hidden.width);
    const cpu::Rows<float> d(dhidden.data(), hidden.tokens, hidden.width);
    head.LogprobsBackward(hidden, targets.row_N, targets.token_N, 0.8F, {slopes}, d, &gradients,
                          TableUse::kHead, logprobs);
    pass.Backward(tape, d, gradients, {.sums = &sums});
    found.logprobs.insert(found.logprobs.end(), logprobs.begin(), logprobs.end());
  }
  gradients.Finish(cpu);
  found.gradient.assign(gradients.flat().begin(), gradients.flat().end());
  return found;
}

// Groups with prompts that end before, at and after the end of a page of 32 tokens, and some that
// there is nothing to share of.
struct Samples {
  std::vector<std::vector<std::int32_t>> ids;
  std::vector<std::int64_t> prompt;
  std::vector<PromptGroup> groups;

  explicit Samples(const PolicyConfig& config) {
    const struct {
      std::size_t prompt;
      std::vector<std::size_t> completions;
    } kGroups[] = {{5, {3, 1, 9}}, {33, {20, 40}}, {1, {4, 2}}, {45, {2, 33, 21, 7}}, {12, {6}}};
    for (std::size_t g = 0; g < std::size(kGroups); ++g) {
      const auto draw = [&](std::size_t s, std::size_t i) {
        return static_cast<std::int32_t>(
            KeyedRandom(7, "shared").With(g).With(s).Integer(i, 0, config.vocab_size - 1));
      };
      PromptGroup& group = groups.emplace_back();
      group.prompt = static_cast<std::int64_t>(kGroups[g].prompt);
      for (std::size_t s = 0; s < kGroups[g].completions.size(); ++s) {
        group.members.push_back(ids.size());
        prompt.push_back(group.prompt);
        auto& sample = ids.emplace_back();
        for (std::size_t i = 0; i < kGroups[g].prompt; ++i)
          sample.push_back(draw(0, i));
        for (std::size_t i = 0; i < kGroups[g].completions[s]; ++i)
          sample.push_back(draw(s + 1, i));
      }
    }
  }

  [[nodiscard]] std::vector<TargetSequences> Cut(std::int64_t budget) const {
    std::vector<std::int64_t> lengths;
    for (const auto& sample : ids)
      lengths.push_back(static_cast<std::int64_t>(sample.size()));
    std::vector<TargetSequences> batches;
    for (const SharedMicroBatch& cut : CutSharedMicroBatches(groups, lengths, budget)) {
      TargetSequences& batch = batches.emplace_back();
      for (const std::size_t i : cut.members) {
        batch.ids_S.push_back(ids[i]);
        batch.first_S.push_back(prompt[i]);
      }
      batch.shared = cut.shared;
      batch.continued = cut.continued;
      batch.open = cut.open;
    }
    return batches;
  }
};

bool SameBits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

// |a - b| / |b|
double Apart(const std::vector<float>& a, const std::vector<float>& b) {
  double error = 0, size = 0;
  for (std::size_t i = 0; i < b.size(); ++i) {
    error += std::pow(double{a[i]} - b[i], 2);
    size += std::pow(double{b[i]}, 2);
  }
  return std::sqrt(error / size);
}

class SharedPromptTest : public testing::TestWithParam<std::string> {};

TEST_P(SharedPromptTest, LearnsWhatWholeSequencesLearn) {
  for (const NumberType type : {NumberType::kFp32, NumberType::kBf16}) {
    const GoldenModel golden = ReadGoldenModel(GetParam(), type);
    ASSERT_TRUE(SharesContexts(golden.config));
    const Weights weights = TinyWeights(golden.config);
    const Samples samples(golden.config);
    const Found whole = Learn(weights, {{samples.ids, samples.prompt}});
    const Found shared = Learn(weights, samples.Cut(4096));
    EXPECT_TRUE(SameBits(shared.logprobs, whole.logprobs));
    // bf16 rounds a prompt's gradients once for all samples rather than once for each.
    EXPECT_LT(Apart(shared.gradient, whole.gradient), type == NumberType::kFp32 ? 1e-5 : 0.02);
  }
}

TEST_P(SharedPromptTest, HowAGroupIsCutChangesNoBit) {
  for (const NumberType type : {NumberType::kFp32, NumberType::kBf16}) {
    const GoldenModel golden = ReadGoldenModel(GetParam(), type);
    const Weights weights = TinyWeights(golden.config);
    const Samples samples(golden.config);
    const Found want = Learn(weights, samples.Cut(4096));
    const struct {
      std::int64_t budget;
      Setting setting;
    } others[] = {{1, {2, false}}, {70, {1, true}}, {100, {3, false}}, {4096, {3, true}}};
    for (const auto& other : others) {
      const Found got = Learn(weights, samples.Cut(other.budget), other.setting);
      EXPECT_TRUE(SameBits(got.logprobs, want.logprobs)) << other.budget;
      EXPECT_TRUE(SameBits(got.gradient, want.gradient)) << other.budget;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Table,
                         SharedPromptTest,
                         testing::Values("qwen2_tied", "qwen3", "llama_bias_linear"),
                         [](const auto& p) { return p.param; });

TEST(SharedPromptTest, PoliciesWithExpertsOrLatentAttentionComputeWholeSequences) {
  for (const char* name : {"deepseek_v3", "deepseek_v2_grouped", "qwen3_moe"})
    EXPECT_FALSE(SharesContexts(ReadGoldenModel(name).config)) << name;
}

}  // namespace
}  // namespace aha::policy
