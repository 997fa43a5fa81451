// The code of the GPU's expert kernels, run on the CPU, beside the CPU's own.

#include <numeric>

#include "policy/kernels/cpu/experts.h"
#include "policy/kernels/cuda/kernels.h"
#include "tests/policy/kernels/kernel_test.h"

// Shapes: T tokens, K slots, S sent rows, E experts.
namespace aha::policy::cuda {
namespace {

struct Sent {
  std::vector<std::int32_t> start, from, place;
};

Sent DispatchAll(const std::vector<std::int64_t>& experts_S, int experts, bool backwards = false) {
  Sent sent;
  sent.start.resize(static_cast<std::size_t>(experts) + 1, -1);
  sent.from.resize(experts_S.size(), -1);
  sent.place.resize(experts_S.size(), -1);
  HostKernels(backwards)->Dispatch({experts_S.data(), sent.start.data(), sent.from.data(),
                                    sent.place.data(), static_cast<std::int64_t>(experts_S.size()),
                                    experts});
  return sent;
}

std::vector<std::int64_t> RandomExperts(std::size_t count, int experts, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<std::int64_t> out(count);
  for (std::int64_t& e : out)
    e = static_cast<std::int64_t>(random() % static_cast<unsigned>(experts));
  return out;
}

struct Size {
  std::size_t tokens, slots;
  int experts;
};
class DeviceExpertsTest : public testing::TestWithParam<Size> {};

TEST_P(DeviceExpertsTest, DispatchIsTheCpusPlan) {
  const auto [tokens, slots, experts] = GetParam();
  const std::vector<std::int64_t> chosen = RandomExperts(tokens * slots, experts, 1);
  const Sent sent = DispatchAll(chosen, experts);
  const cpu::ExpertPlan plan =
      cpu::PlanExperts(std::vector<std::int32_t>(chosen.begin(), chosen.end()), slots,
                       static_cast<std::size_t>(experts));
  EXPECT_EQ(std::vector<std::size_t>(sent.start.begin(), sent.start.end()), plan.start_E1);
  EXPECT_EQ(std::vector<std::size_t>(sent.from.begin(), sent.from.end()), plan.from_S);
  EXPECT_EQ(std::vector<std::size_t>(sent.place.begin(), sent.place.end()), plan.place_S);
  const Sent backwards = DispatchAll(chosen, experts, true);
  EXPECT_EQ(backwards.from, sent.from);
  EXPECT_EQ(backwards.place, sent.place);
}

TEST_P(DeviceExpertsTest, RowTilesHoldEveryRowOnce) {
  const auto [tokens, slots, experts] = GetParam();
  const Sent sent = DispatchAll(RandomExperts(tokens * slots, experts, 2), experts);
  GroupedArgs<float> args;
  args.sent = static_cast<std::int64_t>(tokens * slots);
  args.experts = experts;
  int next = 0;
  for (std::int64_t tile = 0; tile < GroupedRowTiles(args); ++tile) {
    const RowTile rows = FindRowTile(sent.start.data(), experts, tile);
    if (rows.count == 0) continue;
    EXPECT_EQ(rows.first, next);
    EXPECT_LE(rows.count, kTileRows);
    EXPECT_GE(rows.first, sent.start[static_cast<std::size_t>(rows.expert)]);
    EXPECT_LE(rows.first + rows.count, sent.start[static_cast<std::size_t>(rows.expert) + 1]);
    next += rows.count;
  }
  EXPECT_EQ(next, args.sent);
}

INSTANTIATE_TEST_SUITE_P(Sizes,
                         DeviceExpertsTest,
                         testing::Values(Size{1, 1, 1},
                                         Size{1, 8, 64},
                                         Size{37, 3, 5},
                                         Size{300, 2, 2},
                                         Size{129, 8, 256}));

// y = sum over slots of weight * W_e x, through dispatch, products and combine.
template <class T>
struct Products {
  cpu::Matrix<T> sent, out;
};

template <class T>
struct Layer {
  std::size_t tokens = 83, slots = 3, inner = 75, columns = 70;
  int experts = 6;
  std::vector<std::int64_t> chosen;
  std::vector<float> weights;
  cpu::Matrix<T> x;
  std::vector<cpu::Matrix<T>> matrices, biases;

  Layer() {
    chosen = RandomExperts(tokens * slots, experts, 3);
    for (std::int64_t& e : chosen)
      e = e == 2 ? 4 : e;  // nobody's expert
    const cpu::Matrix<float> w = cpu::RandomMatrix<float>(1, tokens * slots, 4);
    weights = w.numbers;
    x = cpu::RandomMatrix<T>(tokens, inner, 5);
    for (int e = 0; e < experts; ++e) {
      matrices.push_back(cpu::RandomMatrix<T>(columns, inner, static_cast<unsigned>(10 + e), 0.2F));
      biases.push_back(cpu::RandomMatrix<T>(1, columns, static_cast<unsigned>(50 + e)));
    }
  }

  Products<T> Run(bool with_bias, bool backwards) const {
    const Sent plan = DispatchAll(chosen, experts, backwards);
    std::vector<const T*> matrix, bias;
    for (int e = 0; e < experts; ++e) {
      matrix.push_back(matrices[static_cast<std::size_t>(e)].numbers.data());
      bias.push_back(biases[static_cast<std::size_t>(e)].numbers.data());
    }
    Products<T> products{{tokens * slots, columns}, {tokens, columns}};
    GroupedArgs<T> args;
    args.x = x.numbers.data();
    args.y_SN = products.sent.numbers.data();
    args.weight_E = matrix.data();
    args.bias_E = with_bias ? bias.data() : nullptr;
    args.start_E1 = plan.start.data();
    args.from_S = plan.from.data();
    args.sent = static_cast<std::int64_t>(tokens * slots);
    args.slots = static_cast<int>(slots);
    args.experts = experts;
    args.columns = static_cast<int>(columns);
    args.inner = static_cast<int>(inner);
    HostKernels(backwards)->Grouped(args);
    HostKernels(backwards)->Combine(
        CombineArgs<T>{products.sent.numbers.data(), weights.data(), plan.place.data(),
                       products.out.numbers.data(), static_cast<std::int64_t>(tokens),
                       static_cast<int>(slots), static_cast<int>(columns)});
    return products;
  }

  Products<T> CpuRun() const {
    const cpu::Cpu cpu(cpu::SupportedKernelTargets().front(), 1);
    const cpu::ExpertPlan plan =
        cpu::PlanExperts(std::vector<std::int32_t>(chosen.begin(), chosen.end()), slots,
                         static_cast<std::size_t>(experts));
    std::vector<cpu::PackedMatrix> packed;
    for (const cpu::Matrix<T>& matrix : matrices) {
      packed.emplace_back(
          columns, inner,
          std::is_same_v<T, Bf16> ? cpu::NumberKind::kBf16 : cpu::NumberKind::kFp32);
      packed.back().Pack(0, cpu::Rows<const T>(matrix.rows()));
    }
    std::vector<const cpu::PackedMatrix*> pointers;
    for (const cpu::PackedMatrix& matrix : packed)
      pointers.push_back(&matrix);
    cpu::Matrix<T> rows(tokens * slots, inner);
    cpu::Dispatch(cpu, plan, cpu::Rows<const T>(x.rows()), rows.rows());
    Products<T> products{{tokens * slots, columns}, {tokens, columns}};
    cpu::GroupedGemm<T>(cpu, plan, cpu::Rows<const T>(rows.rows()), pointers, products.sent.rows());
    cpu::Combine(cpu, plan, cpu::Rows<const T>(products.sent.rows()), weights.data(),
                 products.out.rows());
    return products;
  }
};

template <class T>
void ExpectTheCpus() {
  const Layer<T> layer;
  const Products<T> got = layer.Run(false, false), want = layer.CpuRun();
  EXPECT_TRUE(cpu::SameBits(layer.Run(false, true).out, got.out)) << "lanes meet";
  for (std::size_t i = 0; i < got.sent.numbers.size(); ++i) {
    const double value = want.sent.at(0, i);
    ASSERT_NEAR(got.sent.at(0, i), value, cpu::Tolerance<T>(value, 1e-5)) << "sent number " << i;
  }
  for (std::size_t i = 0; i < got.out.numbers.size(); ++i) {
    const double value = want.out.at(0, i);
    ASSERT_NEAR(got.out.at(0, i), value,
                cpu::Tolerance<T>(value, std::is_same_v<T, Bf16> ? 0.1 : 1e-5))
        << "number " << i;
  }
}

TEST(DeviceExpertsTest, ThreadsAndWarpsShareATileOut) {
  std::vector<int> by_thread(kTileRows * kTileColumns), by_warp(kTileRows * kTileColumns);
  for (int thread = 0; thread < kLanes; ++thread) {
    for (int i = 0; i < 16; ++i)
      ++by_thread[static_cast<std::size_t>((ThreadRow(thread) + i / 4) * kTileColumns +
                                           ThreadColumn(thread) + i % 4)];
    for (int square = 0; square < 2 && thread % 32 == 0; ++square) {
      for (int i = 0; i < kSquare * kSquare; ++i) {
        ++by_warp[static_cast<std::size_t>((SquareRow(thread) + i / kSquare) * kTileColumns +
                                           SquareColumn(thread, square) + i % kSquare)];
      }
    }
  }
  EXPECT_EQ(by_thread, std::vector<int>(by_thread.size(), 1));
  EXPECT_EQ(by_warp, std::vector<int>(by_warp.size(), 1));
  // What the tensor cores' loads ask for.
  EXPECT_EQ(offsetof(GroupedShared<Bf16>, weight) % 32, 0U);
  EXPECT_EQ(offsetof(GroupedShared<Bf16>, out) % 32, 0U);
  EXPECT_EQ(kSquare * kTileStride * sizeof(Bf16) % 32, 0U);
  EXPECT_EQ(kTileStride * sizeof(Bf16) % 16, 0U);
  EXPECT_EQ(kTileOut * sizeof(float) % 16, 0U);
}

TEST(DeviceExpertsTest, Fp32ProductsEqualTheCpus) {
  ExpectTheCpus<float>();
}
TEST(DeviceExpertsTest, Bf16ProductsEqualTheCpus) {
  ExpectTheCpus<Bf16>();
}

TEST(DeviceExpertsTest, ABiasIsThatOfTheRowsExpert) {
  const Layer<float> layer;
  const Products<float> plain = layer.Run(false, false), biased = layer.Run(true, false);
  const Sent plan = DispatchAll(layer.chosen, layer.experts);
  for (std::size_t r = 0; r < plain.sent.count; ++r) {
    const auto expert =
        static_cast<std::size_t>(layer.chosen[static_cast<std::size_t>(plan.from[r])]);
    for (std::size_t n = 0; n < layer.columns; ++n)
      ASSERT_EQ(biased.sent[r][n], plain.sent[r][n] + layer.biases[expert].numbers[n]);
  }
}

}  // namespace
}  // namespace aha::policy::cuda
