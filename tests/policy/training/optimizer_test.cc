#include "policy/training/optimizer.h"

#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <limits>
#include <map>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/policy/tiny_weights.h"

namespace aha::policy {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr char kMatrix[] = "lm_head.weight";
constexpr char kVector[] = "model.norm.weight";

const cpu::Cpu kCpu(cpu::ChooseKernelTarget().value(), 2);

float First(const Weights& weights, const std::string& name) {
  return NumbersOf(weights, name).front();
}

void SetFirst(Weights& weights, const std::string& name, float value) {
  std::vector<float> numbers = NumbersOf(weights, name);
  numbers.front() = value;
  SetNumbers(weights, name, numbers);
}

// A gradient that is zero but in the first number of the named tensors.
Gradients Gradient(const Weights& weights, const std::map<std::string, float>& firsts) {
  Gradients gradients(weights);
  for (const auto& [name, value] : firsts)
    gradients.of(weights.IndexOf(name).value()).data[0] = value;
  return gradients;
}

// State in a file, as a commit has it.
class StateFile {
 public:
  StateFile()
      : path_(testing::TempDir() + fmt::format("/aha_optimizer_{}.safetensors", ::getpid())) {}
  ~StateFile() { std::filesystem::remove(path_); }
  SafetensorsFile Keep(const std::vector<TensorView>& state) const {
    EXPECT_TRUE(WriteSafetensors(path_, state, {}));
    return SafetensorsFile::Open(path_).value();
  }

 private:
  std::filesystem::path path_;
};

// First number of matrix and vector, both from 1, after each update.
struct Path {
  std::vector<float> matrix, vector;
  std::vector<double> norms;
};
Path Follow(const AdamWOptions& options, const std::vector<std::pair<float, float>>& gradients) {
  Weights weights = TinyWeights();
  SetFirst(weights, kMatrix, 1);
  SetFirst(weights, kVector, 1);
  AdamW optimizer(weights, options);
  Path path;
  for (const auto& [matrix, vector] : gradients) {
    path.norms.push_back(optimizer.Step(
        kCpu, weights, Gradient(weights, {{kMatrix, matrix}, {kVector, vector}}), .1));
    path.matrix.push_back(First(weights, kMatrix));
    path.vector.push_back(First(weights, kVector));
  }
  return path;
}

void ExpectNear(const std::vector<float>& got, const std::vector<double>& want) {
  ASSERT_EQ(got.size(), want.size());
  for (std::size_t i = 0; i < got.size(); ++i)
    EXPECT_NEAR(got[i], want[i], 5e-7) << "step " << i;
}

// Worked out in float64 from the paper's Algorithm 2: gradients 0.5, -1, 2 at a rate of 0.1, decay
// 0.1 on the matrix and none on the vector.
TEST(AdamWTest, EqualsTheHandComputedUpdates) {
  const Path path = Follow({.9, .95, 1e-8, .1, 0}, {{.5F, .5F}, {-1, -1}, {2, 2}});
  ExpectNear(path.matrix, {.890000002, .9174373966, .8670344185});
  ExpectNear(path.vector, {.900000002, .9363373966, .8951087924});
}

TEST(AdamWTest, DecaysMatricesWithoutAGradientAndNothingElse) {
  const Path path = Follow({.9, .95, 1e-8, .1, 0}, {{0, 0}, {0, 0}, {0, 0}});
  ExpectNear(path.matrix, {.99, .9801, .970299});
  EXPECT_THAT(path.vector, ElementsAre(1, 1, 1));
}

// (3, 4) and (0, -12) are scaled to a norm of 1, (0.3, 0.4) is left as it is.
TEST(AdamWTest, ClipsTheGlobalNorm) {
  const Path path = Follow({.9, .95, 1e-8, 0, 1}, {{3, 4}, {.3F, .4F}, {0, -12}});
  ExpectNear(path.matrix, {.9000000017, .8060706968, .7325242588});
  ExpectNear(path.vector, {.9000000013, .8060706959, .8056915899});
  EXPECT_NEAR(path.norms[0], 5, 1e-6);
  EXPECT_NEAR(path.norms[1], .5, 1e-6);
  EXPECT_NEAR(path.norms[2], 12, 1e-6);
}

class MomentsTest : public testing::TestWithParam<Moments> {};

TEST_P(MomentsTest, RestoredItGoesOnBitForBit) {
  AdamWOptions options;
  options.moments = GetParam();
  const StateFile file;
  Weights whole = TinyWeights();
  AdamW straight(whole, options);
  straight.Step(kCpu, whole, Gradient(whole, {{kMatrix, .5F}, {kVector, -1}}), .1);
  const SafetensorsFile state = file.Keep(straight.State());
  straight.Step(kCpu, whole, Gradient(whole, {{kMatrix, 2}}), .1);

  Weights resumed = TinyWeights();
  AdamW again(resumed, options);
  ASSERT_TRUE(again.Restore(state, kCpu, resumed));
  again.Step(kCpu, resumed, Gradient(resumed, {{kMatrix, 2}}), .1);
  EXPECT_THAT(Differing(whole, resumed), testing::IsEmpty());
  const auto a = straight.State(), b = again.State();
  for (std::size_t i = 0; i < a.size(); ++i) {
    EXPECT_TRUE(std::equal(a[i].data.begin(), a[i].data.end(), b[i].data.begin(), b[i].data.end()))
        << a[i].name;
  }
}

TEST_P(MomentsTest, AStateOfTheOtherTypeIsRefused) {
  Weights weights = TinyWeights();
  AdamWOptions options;
  options.moments = GetParam();
  AdamW optimizer(weights, options);
  AdamWOptions other;
  other.moments = GetParam() == Moments::kFp32 ? Moments::kBf16 : Moments::kFp32;
  const StateFile file;
  const SafetensorsFile state = file.Keep(AdamW(weights, other).State());
  const Status restored = optimizer.Restore(state, kCpu, weights);
  ASSERT_FALSE(restored);
  EXPECT_THAT(restored.error().message, HasSubstr("adamw.first_moment"));
}
INSTANTIATE_TEST_SUITE_P(Types,
                         MomentsTest,
                         testing::Values(Moments::kFp32, Moments::kBf16),
                         [](const auto& p) {
                           return std::string(p.param == Moments::kBf16 ? "Bf16" : "Fp32");
                         });

// The hand-computed updates again: moments have eight bits, and so have the steps.
TEST(AdamWTest, Bf16MomentsStayNear) {
  AdamWOptions options{.9, .95, 1e-8, .1, 0};
  options.moments = Moments::kBf16;
  const Path path = Follow(options, {{.5F, .5F}, {-1, -1}, {2, 2}});
  const std::vector<float> want = {.890000002F, .9174373966F, .8670344185F};
  for (std::size_t i = 0; i < want.size(); ++i)
    EXPECT_NEAR(path.matrix[i], want[i], 1e-3);
}

TEST(AdamWTest, ThreadsChangeNoBit) {
  const cpu::Cpu one(kCpu.target(), 1);
  Weights alone = TinyWeights(), together = TinyWeights();
  AdamW a(alone, {}), b(together, {});
  Gradients gradients(alone);
  for (std::size_t t = 0; t < alone.tensors().size(); ++t) {
    if (!alone.tensors()[t].spec.trainable) continue;
    const std::vector<float> numbers = HashNumbers(alone.tensors()[t].spec);
    std::copy(numbers.begin(), numbers.end(), gradients.of(t).data);
  }
  for (int k = 0; k < 3; ++k)
    EXPECT_EQ(a.Step(one, alone, gradients, .1), b.Step(kCpu, together, gradients, .1));
  EXPECT_THAT(Differing(alone, together), testing::IsEmpty());
  EXPECT_EQ(Differing(alone, TinyWeights()).size() + alone.selection_biases().size(),
            alone.tensors().size());
}

// In bf16 a step of a thousandth is lost on the weights; the masters keep it.
TEST(AdamWTest, MastersKeepWhatTheWeightsRoundAway) {
  PolicyConfig config = TinyConfig();
  config.dtype = NumberType::kBf16;
  Weights weights = TinyWeights(config);
  SetFirst(weights, kMatrix, 1);
  AdamW optimizer(weights, {.9, .95, 1e-8, 0, 0});
  for (int k = 0; k < 8; ++k) {
    optimizer.Step(kCpu, weights, Gradient(weights, {{kMatrix, 1}}), 1e-3);
    const auto master = static_cast<float>(1 - 1e-3 * (k + 1));
    EXPECT_EQ(First(weights, kMatrix), cpu::ToFloat(cpu::ToBf16(master))) << k;
  }
  EXPECT_LT(First(weights, kMatrix), 1);
}

TEST(AdamWTest, AGradientThatIsNotFiniteChangesNothing) {
  Weights weights = TinyWeights();
  AdamW optimizer(weights, {});
  const double norm = optimizer.Step(
      kCpu, weights, Gradient(weights, {{kMatrix, std::numeric_limits<float>::infinity()}}), .1);
  EXPECT_FALSE(std::isfinite(norm));
  EXPECT_THAT(Differing(weights, TinyWeights()), testing::IsEmpty());
  std::int64_t steps = -1;
  std::memcpy(&steps, optimizer.State()[0].data.data(), sizeof(steps));
  EXPECT_EQ(steps, 0);
}

TEST(AdamWTest, TheTensorThatIsNotFiniteIsNamed) {
  Weights weights = TinyWeights();
  EXPECT_EQ(FirstNotFinite(weights), "");
  SetFirst(weights, kVector, std::numeric_limits<float>::infinity());
  EXPECT_EQ(FirstNotFinite(weights), kVector);
}

TEST(AdamWTest, RefusesAStateThatIsNotItsOwn) {
  struct Row {
    const char* what;
    void (*spoil)(std::vector<TensorView>&);
    const char* message;
  };
  const StateFile file;
  for (const Row& row :
       {Row{"missing", [](auto& s) { s.pop_back(); }, "adamw.second_moment is missing"},
        Row{"shorter",
            [](auto& s) {
              s[1].shape[0] -= 1;
              s[1].data = s[1].data.subspan(4);
            },
            "adamw.master"},
        Row{"another type", [](auto& s) { s[2].dtype = SafetensorsDtype::kI32; },
            "adamw.first_moment"}}) {
    Weights weights = TinyWeights();
    AdamW optimizer(weights, {});
    std::vector<TensorView> state = optimizer.State();
    row.spoil(state);
    const Status restored = optimizer.Restore(file.Keep(state), kCpu, weights);
    ASSERT_FALSE(restored) << row.what;
    EXPECT_EQ(restored.error().code, Code::kCorrupt);
    EXPECT_THAT(restored.error().message, HasSubstr(row.message));
  }
}

TEST(GateBiasTest, MovesTowardsBalance) {
  Weights weights = TinyWeights();
  const std::size_t bias = weights.selection_biases().at(0);
  const std::vector<float> before = NumbersOf(weights, bias);
  UpdateGateBiases(weights, {{6, 2, 4, 4, 4, 4, 4, 4}}, .001);
  const std::vector<float> after = NumbersOf(weights, bias);
  const double want[] = {-.001, .001, 0, 0, 0, 0, 0, 0};
  for (std::size_t e = 0; e < 8; ++e)
    EXPECT_NEAR(after[e] - before[e], want[e], 1e-7) << e;
}

TEST(GateBiasTest, MaxViolationIsTheWorstLayers) {
  EXPECT_DOUBLE_EQ(MaxViolation({{4, 4, 4, 4}}), 0);
  EXPECT_DOUBLE_EQ(MaxViolation({{4, 4, 4, 4}, {6, 2, 4, 4}}), .5);
  EXPECT_DOUBLE_EQ(MaxViolation({}), 0);
}

}  // namespace
}  // namespace aha::policy
