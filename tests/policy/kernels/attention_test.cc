#include "policy/kernels/cpu/attention.h"

#include <numeric>

#include "tests/policy/kernels/kernel_test.h"

// Shapes: T new tokens, A query heads, G key-value heads, W key width, D value width.
namespace aha::policy::cpu {
namespace {

class AttentionTest : public KernelTest {};

struct Case {
  const char* name;
  bool latent;
  std::size_t page_tokens, heads, kv_heads, key_width, value_width;
};
constexpr Case kCases[] = {
    {"grouped", false, 16, 9, 3, 64, 64},
    {"grouped, large pages", false, 32, 4, 2, 32, 48},
    {"odd widths", false, 16, 3, 1, 9, 5},
    {"latent", true, 16, 4, 1, 48, 32},
    {"latent, odd widths", true, 32, 5, 1, 13, 8},
    {"one head each", false, 64, 2, 2, 16, 16},
};

// Sequences with a cache that holds all their tokens; the first `shared` tokens are the same in
// all.
template <class T>
struct World {
  Case c;
  KvShape shape;
  std::size_t length, shared;
  std::vector<std::byte> pool;
  std::vector<std::vector<std::int32_t>> tables;
  std::vector<Matrix<T>> keys, values,
      queries;  // by sequence: [length, G * W], [length, G * D], [length, A * W]

  World(const Case& c_, std::size_t sequences, std::size_t length_, std::size_t shared_pages)
      : c(c_), length(length_) {
    shape = {std::is_same_v<T, Bf16> ? NumberKind::kBf16 : NumberKind::kFp32,
             c.latent,
             c.page_tokens,
             c.kv_heads,
             c.key_width,
             c.value_width};
    const std::size_t pages = (length + c.page_tokens - 1) / c.page_tokens;
    shared = std::min(shared_pages, pages) * c.page_tokens;
    pool.resize((sequences * pages + 1) * shape.page_bytes());
    std::int32_t next = 1;
    for (std::size_t s = 0; s < sequences; ++s) {
      const auto seed = static_cast<unsigned>(10 * s);
      keys.push_back(RandomMatrix<T>(length, c.kv_heads * c.key_width, seed));
      values.push_back(RandomMatrix<T>(length, c.kv_heads * c.value_width, seed + 1));
      queries.push_back(RandomMatrix<T>(length, c.heads * c.key_width, seed + 2));
      std::vector<std::int32_t> table;
      for (std::size_t p = 0; p < pages; ++p)
        table.push_back(s > 0 && p * c.page_tokens < shared ? tables[0][p] : next++);
      tables.push_back(table);
      for (std::size_t i = 0; i < length; ++i)
        Put(s, i);
    }
  }

  void Put(std::size_t s, std::size_t i) {
    const std::size_t from = i < shared ? 0 : s;
    std::byte* page =
        pool.data() + static_cast<std::size_t>(tables[s][i / c.page_tokens]) * shape.page_bytes();
    for (std::size_t g = 0; g < c.kv_heads; ++g) {
      PutKv(shape, page, i % c.page_tokens, g, keys[from][i] + g * c.key_width,
            values[from][i] + g * c.value_width);
    }
  }

  // Queries [first, first + count) of each of the sequences.
  Matrix<T> Run(const Cpu& cpu,
                const std::vector<std::size_t>& which,
                std::size_t first,
                std::size_t count,
                std::vector<float>* lse = nullptr) {
    Matrix<T> q(which.size() * count, c.heads * c.key_width),
        y(which.size() * count, c.heads * c.value_width);
    std::vector<AttentionSequence> sequences;
    for (std::size_t n = 0; n < which.size(); ++n) {
      for (std::size_t i = 0; i < count; ++i)
        std::copy_n(queries[which[n]][first + i], q.width, q[n * count + i]);
      sequences.push_back({tables[which[n]], first, n * count, count});
    }
    if (lse != nullptr) lse->resize(q.count * c.heads);
    AttentionCall call{shape, pool.data(), shape.page_bytes(), sequences, c.heads, 0.3F};
    Attention(cpu, call, Rows<const T>(q.rows()), y.rows(), lse == nullptr ? nullptr : lse->data());
    return y;
  }

  // float64 softmax over the whole context; returns log of the denominator.
  double Reference(std::size_t s, std::size_t i, std::size_t a, std::vector<double>* y) const {
    const std::size_t g = a / (c.heads / c.kv_heads);
    std::vector<double> score(i + 1);
    for (std::size_t j = 0; j <= i; ++j) {
      const std::size_t from = j < shared ? 0 : s;
      for (std::size_t w = 0; w < c.key_width; ++w) {
        score[j] +=
            0.3 * queries[s].at(i, a * c.key_width + w) * keys[from].at(j, g * c.key_width + w);
      }
    }
    const double most = *std::max_element(score.begin(), score.end());
    double total = 0;
    y->assign(c.value_width, 0);
    for (std::size_t j = 0; j <= i; ++j) {
      const std::size_t from = j < shared ? 0 : s;
      const double weight = std::exp(score[j] - most);
      total += weight;
      for (std::size_t d = 0; d < c.value_width; ++d) {
        (*y)[d] +=
            weight * (c.latent ? keys[from].at(j, d) : values[from].at(j, g * c.value_width + d));
      }
    }
    for (double& v : *y)
      v /= total;
    return most + std::log(total);
  }
};

template <class T>
void ExpectReference(const Cpu& cpu, const Case& c) {
  World<T> world(c, 2, 147, 3);
  std::vector<float> lse;
  const Matrix<T> y = world.Run(cpu, {0, 1}, 0, 147, &lse);
  std::vector<double> want;
  for (std::size_t s = 0; s < 2; ++s) {
    for (const std::size_t i : {0UL, 1UL, 15UL, 16UL, 63UL, 127UL, 128UL, 146UL}) {
      for (std::size_t a = 0; a < c.heads; ++a) {
        const double denominator = world.Reference(s, i, a, &want);
        ASSERT_NEAR(lse[(s * 147 + i) * c.heads + a], denominator, 1e-4) << c.name;
        for (std::size_t d = 0; d < c.value_width; ++d) {
          ASSERT_NEAR(y.at(s * 147 + i, a * c.value_width + d), want[d],
                      (std::is_same_v<T, Bf16> ? 0.02 : 2e-5))
              << c.name << " sequence " << s << " position " << i << " head " << a;
        }
      }
    }
  }
}

TEST_P(AttentionTest, MatchesFloat64) {
  for (const Case& c : kCases) {
    ExpectReference<Bf16>(three, c);
    ExpectReference<float>(one, c);
  }
}

template <class T>
void ExpectSameBits(const Cpu& one, const Cpu& three, const Case& c) {
  constexpr std::size_t kLength = 150;
  World<T> world(c, 3, kLength, 2);
  const Matrix<T> prefill = world.Run(one, {0, 1, 2}, 0, kLength);
  const auto expect = [&](const Matrix<T>& y, const std::vector<std::size_t>& which,
                          std::size_t first, std::size_t count, const char* what) {
    for (std::size_t n = 0; n < which.size(); ++n) {
      for (std::size_t i = 0; i < count; ++i) {
        ASSERT_TRUE(SameBits(y[n * count + i], prefill[which[n] * kLength + first + i], y.width))
            << c.name << ", " << what << ": sequence " << which[n] << " position " << first + i;
      }
    }
  };
  for (const std::size_t i : {0UL, 14UL, 31UL, 77UL, 128UL, 149UL}) {
    expect(world.Run(one, {1}, i, 1), {1}, i, 1, "decoding alone");
    expect(world.Run(three, {0, 1, 2}, i, 1), {0, 1, 2}, i, 1, "decoding together");
    expect(world.Run(three, {2, 0}, i, 1), {2, 0}, i, 1, "another order");
  }
  expect(world.Run(three, {2, 1}, 30, 55), {2, 1}, 30, 55, "chunk of the prompt");
  expect(world.Run(one, {0}, 140, 10), {0}, 140, 10, "last chunk");
}

TEST_P(AttentionTest, DecodingPrefillChunksAndNeighboursGiveTheSameBits) {
  for (const Case& c : kCases) {
    ExpectSameBits<Bf16>(one, three, c);
    ExpectSameBits<float>(one, three, c);
  }
}

// What stands in a page after the query's position changes no bit.
TEST_P(AttentionTest, LaterTokensOfThePageDoNotMatter) {
  for (const Case& c : kCases) {
    World<Bf16> world(c, 1, 40, 0);
    const Matrix<Bf16> before = world.Run(one, {0}, 20, 1);
    world.keys[0] = RandomMatrix<Bf16>(40, world.keys[0].width, 77, 30);
    world.values[0] = RandomMatrix<Bf16>(40, world.values[0].width, 78, 30);
    for (std::size_t i = 21; i < 40; ++i)
      world.Put(0, i);
    EXPECT_TRUE(SameBits(world.Run(one, {0}, 20, 1), before)) << c.name;
  }
}

TEST(KvPages, ReadsBackWhatWasPut) {
  for (const Case& c : kCases) {
    World<Bf16> world(c, 1, 20, 0);
    std::vector<Bf16> key(c.key_width), value(c.value_width);
    const std::byte* page =
        world.pool.data() +
        static_cast<std::size_t>(world.tables[0][17 / c.page_tokens]) * world.shape.page_bytes();
    for (std::size_t g = 0; g < c.kv_heads; ++g) {
      GetKv(world.shape, page, 17 % c.page_tokens, g, key.data(), value.data());
      EXPECT_TRUE(SameBits(key.data(), world.keys[0][17] + g * c.key_width, c.key_width));
      const Bf16* want = c.latent ? world.keys[0][17] : world.values[0][17] + g * c.value_width;
      EXPECT_TRUE(SameBits(value.data(), want, c.value_width));
    }
  }
}

AHA_EVERY_TARGET(AttentionTest);

}  // namespace
}  // namespace aha::policy::cpu
