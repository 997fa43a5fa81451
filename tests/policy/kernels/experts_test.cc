#include "policy/kernels/cpu/experts.h"

#include <algorithm>
#include <numeric>

#include "policy/kernels/cpu/ops.h"
#include "policy/kernels/cpu/router.h"
#include "tests/policy/kernels/kernel_test.h"

namespace aha::policy::cpu {
namespace {

class RouterTest : public KernelTest {};
class ExpertsTest : public KernelTest {};

struct Routed {
  std::vector<std::int32_t> experts;
  std::vector<float> weights, scores;
};

Routed RouteRows(const Cpu& cpu,
                 const Matrix<float>& logits,
                 const std::vector<float>& bias,
                 const RouterRule& rule) {
  Routed routed;
  routed.experts.resize(logits.count * rule.experts_per_token);
  routed.weights.resize(routed.experts.size());
  routed.scores.resize(logits.numbers.size());
  Route(cpu, logits.rows(), bias.empty() ? nullptr : bias.data(), rule, routed.experts,
        routed.weights, routed.scores.data());
  return routed;
}

RouterRule Grouped(std::size_t slots, std::size_t groups, std::size_t kept, float scaling) {
  RouterRule rule;
  rule.experts_per_token = slots;
  rule.groups = groups;
  rule.kept_groups = kept;
  rule.scaling = scaling;
  return rule;
}

// Worked values: DeepSeek-V3's gate, computed by hand in float64.
TEST_P(RouterTest, WorkedValues) {
  Matrix<float> logits(1, 8);
  logits.numbers = {2, -1, 1.5, 1.4, .5, .4, -2, 3};
  Routed routed =
      RouteRows(one, logits, {-.3F, 0, .1F, .1F, 0, .2F, 0, -.4F}, Grouped(3, 4, 2, 2.5F));
  const auto weight_of = [&](std::int32_t e) {
    return routed.weights[static_cast<std::size_t>(
        std::find(routed.experts.begin(), routed.experts.end(), e) - routed.experts.begin())];
  };
  EXPECT_NEAR(weight_of(2), .9213369, 1e-6);
  EXPECT_NEAR(weight_of(3), .903993, 1e-6);
  EXPECT_NEAR(weight_of(5), .6746701, 1e-6);
  routed = RouteRows(one, logits, {}, Grouped(3, 4, 2, 2.5F));
  EXPECT_NEAR(weight_of(2), .911569, 1e-6);
  EXPECT_NEAR(weight_of(3), .894409, 1e-6);
  EXPECT_NEAR(weight_of(4), .694022, 1e-6);
}

TEST_P(RouterTest, DroppedGroupsLoseToNegativeChoices) {
  Matrix<float> logits(1, 4);
  logits.numbers = {-2, -2, -3, -3};
  const Routed routed = RouteRows(one, logits, {.5F, -.4F, -.6F, -.6F}, Grouped(2, 2, 1, 1));
  EXPECT_EQ(routed.experts, (std::vector<std::int32_t>{0, 1}));
}

TEST_P(RouterTest, TiesGoToTheLowestExpert) {
  Matrix<float> logits(1, 6);
  logits.numbers = {1, 3, 3, 0, 3, 1};
  EXPECT_EQ(RouteRows(one, logits, {}, Grouped(4, 1, 1, 1)).experts,
            (std::vector<std::int32_t>{1, 2, 4, 0}));
}

TEST_P(RouterTest, SoftmaxScores) {
  const Matrix<float> logits = RandomMatrix<float>(3, 10, 1);
  RouterRule rule = Grouped(2, 1, 1, 1);
  rule.score = RouterRule::Score::kSoftmax;
  rule.normalise = false;
  const Routed routed = RouteRows(three, logits, {}, rule);
  for (std::size_t t = 0; t < 3; ++t) {
    double sum = 0;
    for (std::size_t e = 0; e < 10; ++e)
      sum += std::exp(logits.at(t, e));
    for (std::size_t k = 0; k < 2; ++k) {
      const auto e = static_cast<std::size_t>(routed.experts[t * 2 + k]);
      EXPECT_NEAR(routed.weights[t * 2 + k], std::exp(logits.at(t, e)) / sum, 1e-6);
    }
  }
}

TEST_P(RouterTest, LogitsOfARowIgnoreTheBatch) {
  const Matrix<Bf16> x = RandomMatrix<Bf16>(20, 70, 2);
  PackedMatrix gate(9, 70, NumberKind::kFp32);
  gate.Pack(0, RandomMatrix<float>(9, 70, 3).rows());
  Matrix<float> all(20, 9), alone(20, 9);
  RouterLogits(three, x.rows(), gate, all.rows());
  for (std::size_t t = 0; t < 20; ++t)
    RouterLogits(one, x.rows(t, 1), gate, alone.rows(t, 1));
  EXPECT_TRUE(SameBits(all, alone));
}

TEST_P(RouterTest, BackwardMatchesDifferences) {
  for (const auto score : {RouterRule::Score::kSigmoid, RouterRule::Score::kSoftmax}) {
    for (const bool normalise : {true, false}) {
      RouterRule rule = Grouped(3, 1, 1, 1.5F);
      rule.score = score;
      rule.normalise = normalise;
      const Matrix<float> logits = RandomMatrix<float>(1, 7, 4);
      const std::vector<float> dweights = {0.3F, -1.1F, 0.7F};
      const Routed routed = RouteRows(one, logits, {}, rule);
      Matrix<float> dlogits(1, 7);
      RouteBackward(one, Rows<const float>(routed.scores.data(), 1, 7), rule, routed.experts,
                    dweights, dlogits.rows());
      const auto loss = [&](std::size_t e, double step) {
        std::vector<double> s(7);
        double all = 0;
        for (std::size_t i = 0; i < 7; ++i) {
          const double x = logits.at(0, i) + (i == e ? step : 0);
          s[i] = score == RouterRule::Score::kSigmoid ? 1 / (1 + std::exp(-x)) : std::exp(x);
          all += s[i];
        }
        if (score == RouterRule::Score::kSoftmax)
          std::for_each(s.begin(), s.end(), [&](double& v) { v /= all; });
        double sum = 0, value = 0;
        for (const std::int32_t i : routed.experts)
          sum += s[static_cast<std::size_t>(i)];
        for (std::size_t k = 0; k < 3; ++k)
          value += double{dweights[k]} * 1.5 * s[static_cast<std::size_t>(routed.experts[k])] /
                   (normalise ? sum : 1);
        return value;
      };
      for (std::size_t e = 0; e < 7; ++e)
        EXPECT_NEAR(dlogits.at(0, e), (loss(e, 1e-5) - loss(e, -1e-5)) / 2e-5, 1e-5);
    }
  }
}

// A layer of experts with random weights.
template <class T>
struct Layer {
  std::size_t h, wide, experts, slots;
  std::vector<Matrix<T>> gate, up, down;
  std::vector<PackedGateUp> gate_up;
  std::vector<PackedMatrix> packed_down;
  std::vector<const PackedGateUp*> gate_ups;
  std::vector<const PackedMatrix*> downs;

  Layer(std::size_t h_, std::size_t wide_, std::size_t experts_, std::size_t slots_)
      : h(h_), wide(wide_), experts(experts_), slots(slots_) {
    const NumberKind kind = std::is_same_v<T, Bf16> ? NumberKind::kBf16 : NumberKind::kFp32;
    for (std::size_t e = 0; e < experts; ++e) {
      const auto seed = static_cast<unsigned>(100 + 3 * e);
      gate.push_back(RandomMatrix<T>(wide, h, seed, 0.2F));
      up.push_back(RandomMatrix<T>(wide, h, seed + 1, 0.2F));
      down.push_back(RandomMatrix<T>(h, wide, seed + 2, 0.2F));
      gate_up.emplace_back(wide, h, kind);
      gate_up[e].Pack(PackedGateUp::Half::kGate, 0, std::as_const(gate[e]).rows());
      gate_up[e].Pack(PackedGateUp::Half::kUp, 0, std::as_const(up[e]).rows());
      packed_down.emplace_back(h, wide, kind);
      packed_down[e].Pack(0, std::as_const(down[e]).rows());
    }
    for (std::size_t e = 0; e < experts; ++e) {
      gate_ups.push_back(&gate_up[e]);
      downs.push_back(&packed_down[e]);
    }
  }

  void Run(const Cpu& cpu,
           Rows<const T> x,
           std::span<const std::int32_t> chosen,
           const float* weights,
           Rows<T> y) const {
    RunExperts<T>(cpu, PlanExperts(chosen, slots, experts), x, weights, gate_ups, downs, y);
  }
};

std::vector<std::int32_t> RandomChoice(std::size_t tokens, std::size_t slots, std::size_t experts) {
  std::mt19937 random(5);
  std::vector<std::int32_t> chosen;
  std::vector<std::int32_t> order(experts);
  std::iota(order.begin(), order.end(), 0);
  for (std::size_t t = 0; t < tokens; ++t) {
    std::shuffle(order.begin(), order.end() - 1, random);  // the last expert stays idle
    chosen.insert(chosen.end(), order.begin(), order.begin() + static_cast<std::ptrdiff_t>(slots));
  }
  return chosen;
}

template <class T>
void ExpectExperts(const Cpu& one, const Cpu& three) {
  const Layer<T> layer(40, 50, 7, 3);
  constexpr std::size_t kTokens = 33;
  const Matrix<T> x = RandomMatrix<T>(kTokens, 40, 6);
  const std::vector<std::int32_t> chosen = RandomChoice(kTokens, 3, 7);
  const Matrix<float> weights = RandomMatrix<float>(kTokens, 3, 7);
  Matrix<T> y(kTokens, 40), alone(kTokens, 40);
  layer.Run(three, x.rows(), chosen, weights[0], y.rows());
  for (std::size_t t = 0; t < kTokens; ++t)
    layer.Run(one, x.rows(t, 1), std::span(chosen).subspan(t * 3, 3), weights[t], alone.rows(t, 1));
  EXPECT_TRUE(SameBits(y, alone));
  for (std::size_t t = 0; t < kTokens; ++t) {
    std::vector<double> want(40, 0);
    for (std::size_t k = 0; k < 3; ++k) {
      const auto e = static_cast<std::size_t>(chosen[t * 3 + k]);
      for (std::size_t i = 0; i < 50; ++i) {
        double g = 0, u = 0;
        for (std::size_t j = 0; j < 40; ++j) {
          g += x.at(t, j) * layer.gate[e].at(i, j);
          u += x.at(t, j) * layer.up[e].at(i, j);
        }
        const double act = g / (1 + std::exp(-g)) * u;
        for (std::size_t j = 0; j < 40; ++j)
          want[j] += weights.at(t, k) * act * layer.down[e].at(j, i);
      }
    }
    for (std::size_t j = 0; j < 40; ++j)
      ASSERT_NEAR(y.at(t, j), want[j], (std::is_same_v<T, Bf16> ? 0.1 : 1e-4)) << "token " << t;
  }
}

TEST_P(ExpertsTest, MatchFloat64AndIgnoreTheBatch) {
  ExpectExperts<Bf16>(one, three);
  ExpectExperts<float>(one, three);
}

TEST_P(ExpertsTest, CombineBackwardMatchesItsDefinition) {
  const std::vector<std::int32_t> chosen = RandomChoice(6, 2, 5);
  const ExpertPlan plan = PlanExperts(chosen, 2, 5);
  const Matrix<float> sent = RandomMatrix<float>(12, 20, 8);
  const Matrix<float> weights = RandomMatrix<float>(6, 2, 9);
  const Matrix<float> dy = RandomMatrix<float>(6, 20, 10);
  Matrix<float> dsent(12, 20), dweights(6, 2);
  CombineBackward<float>(three, plan, sent.rows(), weights[0], dy.rows(), dsent.rows(),
                         dweights[0]);
  for (std::size_t t = 0; t < 6; ++t) {
    for (std::size_t k = 0; k < 2; ++k) {
      const std::size_t s = plan.place_S[t * 2 + k];
      double want = 0;
      for (std::size_t i = 0; i < 20; ++i) {
        want += dy.at(t, i) * sent.at(s, i);
        EXPECT_EQ(dsent[s][i], dy[t][i] * weights[t][k]);
      }
      EXPECT_NEAR(dweights.at(t, k), want, 1e-5);
    }
  }
}

TEST_P(ExpertsTest, WeightGradientsTakeEachExpertsTokens) {
  const std::vector<std::int32_t> chosen = RandomChoice(30, 2, 4);
  const ExpertPlan plan = PlanExperts(chosen, 2, 4);
  const Matrix<Bf16> dy = RandomMatrix<Bf16>(60, 10, 11), x = RandomMatrix<Bf16>(60, 33, 12);
  std::vector<Matrix<float>> dw(4, Matrix<float>(10, 33));
  std::vector<Rows<float>> rows;
  for (Matrix<float>& m : dw)
    rows.push_back(m.rows());
  GroupedWeightGradient<Bf16>(three, plan, dy.rows(), x.rows(), rows);
  std::vector<Matrix<double>> want(4, Matrix<double>(10, 33));
  for (std::size_t i = 0; i < 60; ++i) {
    for (std::size_t n = 0; n < 10; ++n) {
      for (std::size_t k = 0; k < 33; ++k)
        want[static_cast<std::size_t>(chosen[i])][n][k] +=
            dy.at(plan.place_S[i], n) * x.at(plan.place_S[i], k);
    }
  }
  for (std::size_t e = 0; e < 4; ++e) {
    for (std::size_t i = 0; i < 330; ++i)
      ASSERT_NEAR(dw[e].numbers[i], want[e].numbers[i], 1e-4);
  }
}

// A layer forward and backward put together from its steps, against differences of float64.
TEST_P(ExpertsTest, LayerBackwardMatchesDifferences) {
  constexpr std::size_t kTokens = 6, kWide = 10, kPadded = 64, kH = 9;
  Layer<float> layer(kH, kWide, 4, 2);
  Matrix<float> x = RandomMatrix<float>(kTokens, kH, 13);
  const Matrix<float> weights = RandomMatrix<float>(kTokens, 2, 14),
                      dy = RandomMatrix<float>(kTokens, kH, 15);
  const std::vector<std::int32_t> chosen = RandomChoice(kTokens, 2, 4);
  const ExpertPlan plan = PlanExperts(chosen, 2, 4);
  const std::size_t sent = kTokens * 2;
  Matrix<float> in(sent, kH), both(sent, kPadded), act(sent, kWide), out(sent, kH), dout(sent, kH),
      dact(sent, kWide), dboth(sent, kPadded), din(sent, kH), dx(kTokens, kH);
  std::vector<const PackedMatrix*> boths, both_turned, down_turned;
  std::vector<PackedMatrix> turned;
  turned.reserve(8);
  for (std::size_t e = 0; e < 4; ++e) {
    boths.push_back(&layer.gate_up[e].both());
    both_turned.push_back(&turned.emplace_back(kH, kPadded, NumberKind::kFp32));
    turned.back().PackTransposed(layer.gate_up[e].both());
    down_turned.push_back(&turned.emplace_back(kWide, kH, NumberKind::kFp32));
    turned.back().PackTransposed(layer.packed_down[e]);
  }
  Dispatch(one, plan, std::as_const(x).rows(), in.rows());
  GroupedGemm<float>(one, plan, std::as_const(in).rows(), boths, both.rows());
  SwiGlu(one, std::as_const(both).rows(), act.rows());
  GroupedGemm<float>(three, plan, std::as_const(act).rows(), layer.downs, out.rows());
  Matrix<float> dweights(kTokens, 2);
  CombineBackward<float>(one, plan, std::as_const(out).rows(), weights[0], dy.rows(), dout.rows(),
                         dweights[0]);
  GroupedGemm<float>(three, plan, std::as_const(dout).rows(), down_turned, dact.rows());
  SwiGluBackward(one, std::as_const(both).rows(), std::as_const(dact).rows(), dboth.rows());
  GroupedGemm<float>(one, plan, std::as_const(dboth).rows(), both_turned, din.rows());
  Combine<float>(one, plan, std::as_const(din).rows(), nullptr, dx.rows());
  const auto loss = [&](std::size_t t, std::size_t moved, double step) {
    double sum = 0;
    for (std::size_t k = 0; k < 2; ++k) {
      const auto e = static_cast<std::size_t>(chosen[t * 2 + k]);
      for (std::size_t i = 0; i < kWide; ++i) {
        double g = 0, u = 0;
        for (std::size_t j = 0; j < kH; ++j) {
          const double value = x.at(t, j) + (j == moved ? step : 0);
          g += value * layer.gate[e].at(i, j);
          u += value * layer.up[e].at(i, j);
        }
        for (std::size_t j = 0; j < kH; ++j)
          sum +=
              dy.at(t, j) * weights.at(t, k) * g / (1 + std::exp(-g)) * u * layer.down[e].at(j, i);
      }
    }
    return sum;
  };
  for (std::size_t t = 0; t < kTokens; ++t) {
    for (std::size_t j = 0; j < kH; ++j)
      ASSERT_NEAR(dx.at(t, j), (loss(t, j, 1e-5) - loss(t, j, -1e-5)) / 2e-5, 2e-5);
  }
}

AHA_EVERY_TARGET(RouterTest);
AHA_EVERY_TARGET(ExpertsTest);

}  // namespace
}  // namespace aha::policy::cpu
