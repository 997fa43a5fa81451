// The code of the GPU's paged attention, run on the CPU, beside the CPU's own kernel.

#include <algorithm>

#include "policy/kernels/cpu/attention.h"
#include "policy/kernels/cuda/kernels.h"
#include "tests/policy/kernels/kernel_test.h"

// Shapes: T query tokens, A heads, P key heads, W numbers of a key, D of a value.
namespace aha::policy::cuda {
namespace {

struct Case {
  const char* name;
  bool latent;
  std::size_t heads, key_heads, key_width, value_width;
};
constexpr Case kCases[] = {
    {"grouped", false, 9, 3, 64, 64},
    {"one_key_head_each", false, 4, 4, 16, 16},
    {"more_heads_than_a_tile", false, 22, 2, 8, 8},
    {"odd_widths", false, 3, 1, 9, 5},
    {"latent", true, 20, 1, 48, 32},
    {"latent_of_v3", true, 3, 1, 576, 512},
};

constexpr std::size_t kPageTokens = 16;

// One sequence after another over one pool, their pages taken in turn and from behind.
template <class T>
struct World {
  Case c;
  std::vector<std::size_t> lengths;  // cached tokens, the queries' own among them
  cpu::Matrix<T> keys, values;       // [all tokens, P * W], [.., P * D]
  std::vector<std::int64_t> first;   // of keys: each sequence's first token
  std::vector<std::int64_t> table;   // [S, B]
  std::vector<T> pages;              // as the GPU has them
  std::int64_t table_width = 0, row_width = 0;

  World(const Case& c_, const std::vector<std::size_t>& lengths_) : c(c_), lengths(lengths_) {
    std::size_t tokens = 0, longest = 0, pages_in_all = 0;
    for (const std::size_t length : lengths) {
      first.push_back(static_cast<std::int64_t>(tokens));
      tokens += length;
      longest = std::max(longest, (length + kPageTokens - 1) / kPageTokens);
      pages_in_all += (length + kPageTokens - 1) / kPageTokens;
    }
    keys = cpu::RandomMatrix<T>(tokens, c.key_heads * c.key_width, 1, 0.5F);
    values = cpu::RandomMatrix<T>(tokens, c.key_heads * c.value_width, 2);
    table_width = static_cast<std::int64_t>(longest);
    row_width = static_cast<std::int64_t>(keys.width + (c.latent ? 0 : values.width));
    table.resize(lengths.size() * longest);
    pages.resize(pages_in_all * kPageTokens * static_cast<std::size_t>(row_width));
    std::size_t next = pages_in_all;
    for (std::size_t s = 0; s < lengths.size(); ++s) {
      for (std::size_t i = 0; i < lengths[s]; ++i) {
        std::int64_t& page = table[s * longest + i / kPageTokens];
        if (i % kPageTokens == 0) page = static_cast<std::int64_t>(--next);
        T* row = pages.data() + (static_cast<std::size_t>(page) * kPageTokens + i % kPageTokens) *
                                    static_cast<std::size_t>(row_width);
        const std::size_t token = static_cast<std::size_t>(first[s]) + i;
        std::copy_n(keys[token], keys.width, row);
        if (!c.latent) std::copy_n(values[token], values.width, row + keys.width);
      }
    }
  }

  // Queries at (sequence, position) each.
  cpu::Matrix<T> Run(const cpu::Matrix<T>& query,
                     const std::vector<std::int64_t>& sequence,
                     const std::vector<std::int64_t>& position,
                     bool backwards = false) const {
    cpu::Matrix<T> out(query.count, c.heads * c.value_width);
    AttentionArgs<T> args;
    args.query_TAW = query.numbers.data();
    args.pages = pages.data();
    args.out_TAD = out.numbers.data();
    args.pages_SB = table.data();
    args.sequence_T = sequence.data();
    args.position_T = position.data();
    args.tokens = static_cast<std::int64_t>(query.count);
    args.longest = table_width * static_cast<std::int64_t>(kPageTokens);
    args.table_width = table_width;
    args.page_tokens = kPageTokens;
    args.row_width = row_width;
    args.heads = static_cast<int>(c.heads);
    args.key_heads = static_cast<int>(c.key_heads);
    args.key_width = static_cast<int>(c.key_width);
    args.value_width = static_cast<int>(c.value_width);
    args.latent = c.latent;
    args.scale = 0.3F;
    std::vector<float> parts(static_cast<std::size_t>(AttentionScratch(args)), NAN);
    args.parts = parts.data();
    HostKernels(backwards)->Attention(args);
    return out;
  }

  // The CPU's kernel: the last `count` positions of a sequence.
  cpu::Matrix<T> CpuRun(const cpu::Matrix<T>& query, std::size_t s, std::size_t count) const {
    const cpu::KvShape shape{
        std::is_same_v<T, Bf16> ? cpu::NumberKind::kBf16 : cpu::NumberKind::kFp32,
        c.latent,
        kPageTokens,
        c.key_heads,
        c.key_width,
        c.value_width};
    const std::size_t blocks = (lengths[s] + kPageTokens - 1) / kPageTokens;
    std::vector<std::byte> pool(blocks * shape.page_bytes());
    std::vector<std::int32_t> plain;
    for (std::size_t i = 0; i < lengths[s]; ++i) {
      if (i % kPageTokens == 0) plain.push_back(static_cast<std::int32_t>(i / kPageTokens));
      const std::size_t token = static_cast<std::size_t>(first[s]) + i;
      for (std::size_t p = 0; p < c.key_heads; ++p) {
        cpu::PutKv(shape, pool.data() + i / kPageTokens * shape.page_bytes(), i % kPageTokens, p,
                   keys[token] + p * c.key_width, values[token] + p * c.value_width);
      }
    }
    cpu::Matrix<T> out(count, c.heads * c.value_width);
    const cpu::AttentionSequence sequence{plain, lengths[s] - count, 0, count};
    const cpu::AttentionCall call{shape,          pool.data(), shape.page_bytes(),
                                  {&sequence, 1}, c.heads,     0.3F};
    const cpu::Cpu cpu(cpu::SupportedKernelTargets().front(), 1);
    cpu::Attention(cpu, call, cpu::Rows<const T>(query.rows()), out.rows());
    return out;
  }
};

template <class T>
void ExpectTheCpus(const Case& c) {
  const bool wide = c.key_width > 500;
  // A context of three parts, one that ends with a part, and one token alone.
  const World<T> world(
      c, wide ? std::vector<std::size_t>{70, 1} : std::vector<std::size_t>{1100, kPartTokens, 1});
  std::vector<std::int64_t> sequence, position;
  const std::size_t count = 2;
  for (std::size_t s = 0; s + 1 < world.lengths.size(); ++s) {
    for (std::size_t i = 0; i < count; ++i) {
      sequence.push_back(static_cast<std::int64_t>(s));
      position.push_back(static_cast<std::int64_t>(world.lengths[s] - count + i));
    }
  }
  sequence.push_back(static_cast<std::int64_t>(world.lengths.size()) - 1);
  position.push_back(0);
  const cpu::Matrix<T> query =
      cpu::RandomMatrix<T>(sequence.size(), c.heads * c.key_width, 3, 0.7F);
  const cpu::Matrix<T> got = world.Run(query, sequence, position);
  EXPECT_TRUE(cpu::SameBits(got, world.Run(query, sequence, position, true))) << "lanes meet";
  // In bf16 the CPU rounds its weights, this does not.
  const double slack = std::is_same_v<T, Bf16> ? 0.01 : 2e-6;
  for (std::size_t s = 0; s < world.lengths.size(); ++s) {
    const std::size_t some = s + 1 < world.lengths.size() ? count : 1;
    cpu::Matrix<T> mine(some, query.width);
    std::copy_n(query[s * count], some * query.width, mine[0]);
    const cpu::Matrix<T> want = world.CpuRun(mine, s, some);
    for (std::size_t i = 0; i < some; ++i) {
      for (std::size_t d = 0; d < want.width; ++d) {
        ASSERT_NEAR(got.at(s * count + i, d), want.at(i, d), slack)
            << "sequence " << s << ", token " << i << ", number " << d;
      }
      // Alone it has the same bits.
      cpu::Matrix<T> one(1, query.width);
      std::copy_n(query[s * count + i], query.width, one[0]);
      EXPECT_TRUE(
          cpu::SameBits(world.Run(one, {sequence[s * count + i]}, {position[s * count + i]})[0],
                        got[s * count + i], got.width));
    }
  }
}

class DeviceAttentionTest : public testing::TestWithParam<Case> {};

TEST_P(DeviceAttentionTest, Fp32EqualsTheCpusKernel) {
  ExpectTheCpus<float>(GetParam());
}
TEST_P(DeviceAttentionTest, Bf16EqualsTheCpusKernel) {
  ExpectTheCpus<Bf16>(GetParam());
}
INSTANTIATE_TEST_SUITE_P(Table, DeviceAttentionTest, testing::ValuesIn(kCases), [](const auto& p) {
  return std::string(p.param.name);
});

TEST(DeviceAttentionTest, SharedMemoryFitsAndRowsStartOnDifferentBanks) {
  AttentionArgs<Bf16> v3;
  v3.latent = true;
  v3.heads = 128;
  v3.key_width = 576;
  v3.value_width = 512;
  const AttentionShared<Bf16> shared(v3, nullptr);
  EXPECT_LE(shared.bytes, 99U << 10);  // of every device from 8.0 on
  EXPECT_EQ(shared.key_stride / 2 % 2, 1);
  AttentionArgs<float> wide;
  wide.latent = true;
  wide.heads = 128;
  wide.key_width = 576;
  wide.value_width = 512;
  EXPECT_LE(AttentionShared<float>(wide, nullptr).bytes, 163U << 10);  // 8.0 and 9.0
}

}  // namespace
}  // namespace aha::policy::cuda
