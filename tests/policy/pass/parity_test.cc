// One forward (law 1): a token's hidden state and log-probability are the same bits alone, in any
// batch, in any chunks, through any pages, decoding or not, and with any number of threads; for
// every kernel target that this machine runs.

#include <cstring>
#include <map>

#include "base/keyed_random.h"
#include "tests/policy/pass/golden_model.h"

namespace aha::policy {
namespace {

constexpr float kTemperature = 0.9F;

// What one token got: its hidden state, and the log-probability of the token after it.
struct TokenBits {
  std::vector<std::byte> hidden;
  float logprob = 0;
  bool operator==(const TokenBits& other) const {
    return hidden == other.hidden && std::memcmp(&logprob, &other.logprob, sizeof(float)) == 0;
  }
};
using SequenceBits = std::vector<TokenBits>;

Sequences RandomSequences(const PolicyConfig& config, const std::vector<std::size_t>& lengths) {
  Sequences sequences;
  for (std::size_t s = 0; s < lengths.size(); ++s) {
    const KeyedRandom random = KeyedRandom(7, "parity").With(s);
    auto& ids = sequences.emplace_back();
    for (std::size_t i = 0; i < lengths[s]; ++i)
      ids.push_back(static_cast<std::int32_t>(random.Integer(i, 0, config.vocab_size - 1)));
  }
  return sequences;
}

class Runner {
 public:
  Runner(const Weights& weights, const cpu::Cpu& cpu)
      : pass_(weights, cpu), head_(weights, cpu), weights_(weights) {}

  // Runs a batch and appends its tokens' bits, sequence `of[i]` of `all` being view i.
  void Run(const TokenBatch& batch,
           const std::vector<std::size_t>& of,
           const Sequences& all,
           std::vector<SequenceBits>& out) {
    const Hidden hidden = pass_.Forward(batch);
    std::vector<std::int32_t> next;
    for (std::size_t v = 0; v < batch.sequences.size(); ++v) {
      const SequenceTokens& s = batch.sequences[v];
      for (std::size_t i = 0; i < s.ids.size(); ++i)
        next.push_back(all[of[v]][(s.context + i + 1) % all[of[v]].size()]);
    }
    std::vector<float> logprob(next.size());
    head_.Logprobs(hidden, AllRows(next.size()), next, kTemperature, logprob);
    const std::size_t row_bytes = hidden.width * (hidden.kind == cpu::NumberKind::kBf16 ? 2 : 4);
    std::size_t row = 0;
    for (std::size_t v = 0; v < batch.sequences.size(); ++v) {
      for (std::size_t i = 0; i < batch.sequences[v].ids.size(); ++i, ++row) {
        const auto* data = static_cast<const std::byte*>(hidden.data) + row * row_bytes;
        out[of[v]].push_back({{data, data + row_bytes}, logprob[row]});
      }
    }
  }

 private:
  Pass pass_;
  Head head_;
  const Weights& weights_;
};

std::vector<SequenceBits> Alone(const Weights& weights,
                                const cpu::Cpu& cpu,
                                const Sequences& sequences) {
  Runner runner(weights, cpu);
  std::vector<SequenceBits> bits(sequences.size());
  for (std::size_t s = 0; s < sequences.size(); ++s) {
    const WholeBatch batch({sequences[s]});
    runner.Run(batch.batch(), {s}, sequences, bits);
  }
  return bits;
}

// Sequences grow by random numbers of new tokens, a random few of them in each batch, through
// shuffled pages.
std::vector<SequenceBits> Paged(const Weights& weights,
                                const cpu::Cpu& cpu,
                                const Sequences& sequences,
                                std::size_t page_tokens,
                                std::uint64_t seed) {
  Runner runner(weights, cpu);
  const KeyedRandom random(seed, "schedule");
  std::vector<std::vector<std::int32_t>> tables;
  std::vector<std::int32_t> pages;
  for (const auto& s : sequences)
    tables.emplace_back((s.size() + page_tokens - 1) / page_tokens);
  for (const auto& table : tables) {
    for (std::size_t p = 0; p < table.size(); ++p)
      pages.push_back(static_cast<std::int32_t>(pages.size()));
  }
  random.Shuffle(std::span(pages));
  KvPool pool(weights.config(), pages.size(), page_tokens);
  for (auto& table : tables) {
    for (auto& page : table) {
      page = pages.back();
      pages.pop_back();
    }
  }
  std::vector<SequenceBits> bits(sequences.size());
  std::vector<std::size_t> done(sequences.size(), 0);
  DrawSequence draws(random.With(1));
  for (bool more = true; more;) {
    std::vector<SequenceTokens> views;
    std::vector<std::size_t> of;
    more = false;
    for (std::size_t s = 0; s < sequences.size(); ++s) {
      const std::size_t left = sequences[s].size() - done[s];
      if (left == 0) continue;
      more = true;
      if (draws.Chance(0.3)) continue;
      // Decoding, a few tokens (as speculation checks them), or a chunk of a prompt.
      const std::int64_t most = draws.Chance(0.4) ? 1 : draws.Chance(0.5) ? 5 : 90;
      const auto some = std::min(left, static_cast<std::size_t>(draws.Integer(1, most)));
      views.push_back({std::span(sequences[s]).subspan(done[s], some), done[s], tables[s]});
      of.push_back(s);
      done[s] += some;
    }
    if (!views.empty()) runner.Run({views, &pool}, of, sequences, bits);
  }
  return bits;
}

struct ParityCase {
  cpu::KernelTarget target;
  std::string model;
  NumberType type;
};
void PrintTo(const ParityCase& c, std::ostream* os) {
  *os << cpu::KernelTargetName(c.target) << " " << c.model;
}

std::vector<ParityCase> Cases() {
  std::vector<ParityCase> cases;
  for (const cpu::KernelTarget target : cpu::SupportedKernelTargets()) {
    for (const char* model : {"deepseek_v3_yarn_mscales", "deepseek_v2_greedy", "llama3",
                              "qwen2_moe", "qwen3_bias", "qwen3_moe", "llama_bias_linear"}) {
      for (const NumberType type : {NumberType::kFp32, NumberType::kBf16}) {
        if (target == cpu::KernelTarget::kAmxModel && type == NumberType::kFp32)
          continue;  // software tiles are for bf16 alone
        cases.push_back({target, model, type});
      }
    }
  }
  return cases;
}

class ParityTest : public testing::TestWithParam<ParityCase> {};

TEST_P(ParityTest, EveryWayToATokenGivesItsBits) {
  const GoldenModel golden = ReadGoldenModel(GetParam().model, GetParam().type);
  const Weights weights = TinyWeights(golden.config, WeightsUse::kInference);
  const cpu::Cpu one(GetParam().target, 1);
  const cpu::Cpu two(GetParam().target, 2);
  const bool slow = GetParam().target == cpu::KernelTarget::kAmxModel;
  const Sequences sequences =
      RandomSequences(golden.config, slow ? std::vector<std::size_t>{40, 3, 21}
                                          : std::vector<std::size_t>{33, 1, 140, 64, 7, 16, 200});
  const std::vector<SequenceBits> want = Alone(weights, one, sequences);
  EXPECT_EQ(Alone(weights, two, sequences), want) << "two threads";

  std::vector<std::size_t> order(sequences.size());
  for (std::size_t s = 0; s < order.size(); ++s)
    order[s] = s;
  for (std::uint64_t round = 0; round < 2; ++round) {
    KeyedRandom(round, "order").Shuffle(std::span(order));
    Sequences packed;
    for (const std::size_t s : order)
      packed.push_back(sequences[s]);
    std::vector<SequenceBits> bits(sequences.size());
    const WholeBatch batch(packed);
    Runner(weights, two).Run(batch.batch(), order, sequences, bits);
    EXPECT_EQ(bits, want) << "packed, order " << round;
  }
  EXPECT_EQ(Paged(weights, one, sequences, 32, 1), want) << "pages of 32";
  EXPECT_EQ(Paged(weights, two, sequences, 16, 2), want) << "pages of 16";
  EXPECT_EQ(Paged(weights, two, sequences, 64, 3), want) << "pages of 64";
}

TEST_P(ParityTest, SampledTokensHaveTheLogprobsThatTheLearnerComputes) {
  const GoldenModel golden = ReadGoldenModel(GetParam().model, GetParam().type);
  const Weights weights = TinyWeights(golden.config, WeightsUse::kInference);
  const cpu::Cpu one(GetParam().target, 1);
  const cpu::Cpu two(GetParam().target, 2);
  // Three samples of one prompt, which shares its pages; each has a copy of the last one.
  const Sequences prompt = RandomSequences(golden.config, {45});
  KvPool pool(golden.config, 16);
  Pass pass(weights, two);
  Head head(weights, two);
  std::vector<std::vector<std::int32_t>> tables = {{3, 5, 6}, {3, 7, 8}, {3, 9, 10}};
  const std::vector<SequenceTokens> prefill = {{prompt[0], 0, tables[0]}};
  Hidden hidden = pass.Forward({prefill, &pool});
  pool.CopyPage(5, 7);
  pool.CopyPage(5, 9);
  Sequences samples(3, prompt[0]);
  std::vector<std::vector<float>> logprobs(3);
  std::vector<std::int32_t> rows(3, static_cast<std::int32_t>(prompt[0].size()) - 1);
  for (int step = 0; step < 24; ++step) {
    std::vector<cpu::SampleRequest> requests;
    for (std::size_t s = 0; s < 3; ++s)
      requests.push_back(
          {kTemperature, KeyedRandom(5, "draw").With(s).Uniform(static_cast<std::uint64_t>(step))});
    std::vector<cpu::SampledToken> tokens(3);
    head.Sample(hidden, rows, requests, tokens);
    std::vector<SequenceTokens> views;
    for (std::size_t s = 0; s < 3; ++s) {
      samples[s].push_back(tokens[s].token);
      logprobs[s].push_back(tokens[s].logprob);
      views.push_back({std::span(samples[s]).last(1), samples[s].size() - 1, tables[s]});
    }
    hidden = pass.Forward({views, &pool});
    rows = {0, 1, 2};
  }
  const WholeBatch whole(samples);
  Pass learner(weights, one);
  Head learner_head(weights, one);
  const Predictions all(samples, 1, 0);
  std::vector<float> now(all.rows.size());
  learner_head.Logprobs(learner.Forward(whole.batch()), all.rows, all.targets, kTemperature, now);
  std::size_t n = 0;
  for (std::size_t s = 0; s < 3; ++s) {
    for (std::size_t i = 1; i < samples[s].size(); ++i, ++n) {
      if (i < prompt[0].size()) continue;
      ASSERT_EQ(now[n], logprobs[s][i - prompt[0].size()]) << "sample " << s << " token " << i;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Table, ParityTest, testing::ValuesIn(Cases()), [](const auto& p) {
  return std::string(cpu::KernelTargetName(p.param.target)) + "_" + p.param.model +
         (p.param.type == NumberType::kBf16 ? "_bf16" : "_fp32");
});

}  // namespace
}  // namespace aha::policy
