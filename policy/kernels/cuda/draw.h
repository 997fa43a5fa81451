#pragma once
/// From a row of logits to a token, docs/sampling.md's rule, and its keyed draw. The CPU sums a row
/// in another order (as its instruction sets do among themselves), so log-probabilities differ in
/// their last bits, and with them, once in millions of draws, a token.
///
/// Shapes: N rows, V vocabulary.

#include "policy/kernels/cuda/host_device.h"

namespace aha::policy::cuda {

struct DrawRequest {
  std::uint64_t key = 0;       ///< KeyedRandom::key of the sample
  std::uint64_t position = 0;  ///< in the completion
  float temperature = 1;       ///< 0: the likeliest token; log-probability then at 1
  std::uint32_t top_k = 0;     ///< 0: off
  float top_p = 1;             ///< 1: off
  float min_p = 0;             ///< 0: off
};
struct DrawnToken {
  std::int32_t token = 0;
  float logprob = 0;
  float entropy = 0;  ///< nats, of the whole distribution
};

struct DrawArgs {
  const float* logits_NV = nullptr;
  const DrawRequest* request_N = nullptr;
  DrawnToken* out_N = nullptr;
  std::int64_t rows = 0, vocabulary = 0;
};

constexpr int kDrawRun = 16;                  ///< ids that one lane adds in their order
constexpr int kDrawTile = kDrawRun * kLanes;  ///< ids summed by one tree
constexpr int kDrawTiles = 512;               ///< most tiles: a vocabulary of two million

struct DrawShared {
  double mass[kLanes], mixed[kLanes];
  double tile_mass[kDrawTiles];
  float most[kLanes];
  std::int32_t likeliest[kLanes];
  std::int32_t chosen;
};

/// Philox4x32-10's draw of a key and a position, in [0, 1): base/keyed_random.h.
AHA_HOST_DEVICE inline double UniformDraw(std::uint64_t key, std::uint64_t position) {
  std::uint32_t c0 = static_cast<std::uint32_t>(position), c2 = 0, c3 = 0;
  auto c1 = static_cast<std::uint32_t>(position >> 32);
  auto k0 = static_cast<std::uint32_t>(key), k1 = static_cast<std::uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t p0 = std::uint64_t{0xD2511F53} * c0;
    const std::uint64_t p1 = std::uint64_t{0xCD9E8D57} * c2;
    c0 = static_cast<std::uint32_t>(p1 >> 32) ^ c1 ^ k0;
    c1 = static_cast<std::uint32_t>(p1);
    c2 = static_cast<std::uint32_t>(p0 >> 32) ^ c3 ^ k1;
    c3 = static_cast<std::uint32_t>(p0);
    k0 += 0x9E3779B9U;
    k1 += 0xBB67AE85U;
  }
  const std::uint64_t bits = (std::uint64_t{c1} << 32) | c0;
  return static_cast<double>(bits >> 11) * 0x1.0p-53;
}

/// One row, as its lanes see it.
class DrawRow {
 public:
  AHA_DEVICE DrawRow(const float* logits, std::int64_t vocabulary, float temperature)
      : logits_(logits),
        vocabulary_(vocabulary),
        temperature_(temperature == 0 ? 1 : temperature) {}

  AHA_DEVICE float Logit(std::int64_t id) const {
    return temperature_ == 1 ? logits_[id] : logits_[id] / temperature_;
  }
  AHA_DEVICE float Logprob(std::int64_t id) const { return (Logit(id) - most_) - log_sum_; }
  /// Of a candidate; 0 for others.
  AHA_DEVICE double Probability(std::int64_t id) const {
    if (line_ > 0 && Rank(id) < line_) return 0;
    const double p = ExpLow64(double{Logprob(id)});
    return p < least_ ? 0 : p;
  }
  /// Tokens by likelihood: larger for the likelier, for the lower id among equals.
  AHA_DEVICE std::uint64_t Rank(std::int64_t id) const {
    const auto bits = BitCast<std::uint32_t>(Logit(id) + 0.0F);  // -0 becomes 0
    const std::uint32_t order = (bits >> 31) != 0 ? ~bits : bits | 0x80000000U;
    return (std::uint64_t{order} << 32) | static_cast<std::uint32_t>(~id);
  }

  /// Largest logit, the lowest id that has it, and the log of the softmax's denominator.
  template <class Block>
  AHA_DEVICE void Measure(Block& block, DrawShared& shared, DrawnToken& out) {
    block.Lanes([&](int lane) {
      float most = -INFINITY;
      std::int64_t id = vocabulary_ - 1;
      for (std::int64_t i = lane; i < vocabulary_; i += kLanes) {
        if (Logit(i) > most) {
          most = Logit(i);
          id = i;
        }
      }
      shared.most[lane] = most;
      shared.likeliest[lane] = static_cast<std::int32_t>(id);
    });
    for (int half = kLanes / 2; half > 0; half /= 2) {
      block.Lanes([&](int lane) {
        if (lane >= half) return;
        const int other = lane + half;
        const bool better = shared.most[other] > shared.most[lane] ||
                            (shared.most[other] == shared.most[lane] &&
                             shared.likeliest[other] < shared.likeliest[lane]);
        if (!better) return;
        shared.most[lane] = shared.most[other];
        shared.likeliest[lane] = shared.likeliest[other];
      });
    }
    most_ = block.Read(shared.most[0]);
    block.Lanes([&](int lane) {
      double sum = 0, mixed = 0;
      for (std::int64_t i = lane; i < vocabulary_; i += kLanes) {
        const float d = Logit(i) - most_;
        const float e = ExpLow(d);
        sum += double{e};
        if (e > 0) mixed += double{e} * double{d};
        if (e != e) sum = e;
      }
      shared.mass[lane] = sum;
      shared.mixed[lane] = mixed;
    });
    SumLanes(block, shared.mass);
    SumLanes(block, shared.mixed);
    const double sum = block.Read(shared.mass[0]), mixed = block.Read(shared.mixed[0]);
    const double log_sum = log(sum);
    log_sum_ = static_cast<float>(log_sum);
    out.token = block.Read(shared.likeliest[0]);
    out.logprob = Logprob(out.token);
    out.entropy = static_cast<float>(log_sum - mixed / sum);
  }

  /// Top-k, top-p and min-p: sets the rank from which tokens are candidates.
  template <class Block>
  AHA_DEVICE void Truncate(Block& block, DrawShared& shared, const DrawRequest& request) {
    if (request.top_k > 0 && request.top_k < vocabulary_) {
      const double count = request.top_k;
      line_ = Descend(block, shared, count, [](double) { return 1.0; });
    }
    if (request.top_p < 1) {
      const auto probability = [](double p) { return p; };
      const double total = MassFrom(block, shared, line_, probability);
      const double goal = double{request.top_p} * total;
      line_ = Descend(block, shared, goal > 0 ? goal : 1e-300, probability);  // one at least
    }
    if (request.min_p > 0) least_ = double{request.min_p} * exp(-double{log_sum_});
  }

  /// The first candidate, in the order of ids, at which the running sum exceeds draw * total.
  template <class Block>
  AHA_DEVICE std::int32_t Pick(Block& block, DrawShared& shared, double draw) const {
    const auto tiles = static_cast<int>((vocabulary_ + kDrawTile - 1) / kDrawTile);
    for (int tile = 0; tile < tiles; ++tile) {
      RunMasses(block, shared, tile);
      SumLanes(block, shared.mass);
      block.Lanes([&](int lane) {
        if (lane == 0) shared.tile_mass[tile] = shared.mass[0];
      });
    }
    double total = 0;
    for (int tile = 0; tile < tiles; ++tile)
      total += shared.tile_mass[tile];
    const double line = draw * total;
    double before = 0;
    int tile = 0;
    while (tile < tiles && !(before + shared.tile_mass[tile] > line))
      before += shared.tile_mass[tile++];
    if (tile == tiles) {  // rounding let none exceed: the last that has a probability
      --tile;
      while (tile > 0 && shared.tile_mass[tile] == 0)
        --tile;
      before = -INFINITY;
    }
    RunMasses(block, shared, tile);
    block.Lanes([&](int lane) {
      if (lane == 0) shared.chosen = PickInTile(shared, tile, before, line);
    });
    return block.Read(shared.chosen);
  }

 private:
  // Probability of the candidates at or above a rank, by `weight` of each one's probability.
  template <class Block, class Weight>
  AHA_DEVICE double MassFrom(Block& block, DrawShared& shared, std::uint64_t line, Weight weight) {
    block.Lanes([&](int lane) {
      double sum = 0;
      for (std::int64_t i = lane; i < vocabulary_; i += kLanes) {
        if (Rank(i) >= line) sum += weight(ExpLow64(double{Logprob(i)}));
      }
      shared.mass[lane] = sum;
    });
    SumLanes(block, shared.mass);
    return block.Read(shared.mass[0]);
  }

  // The highest rank from which the mass is at least `goal`, bit by bit: fewer tokens never weigh
  // more, whatever the rounding.
  template <class Block, class Weight>
  AHA_DEVICE std::uint64_t Descend(Block& block, DrawShared& shared, double goal, Weight weight) {
    int id_bits = 1;
    while ((std::int64_t{1} << id_bits) < vocabulary_)
      ++id_bits;
    std::uint64_t line = 0;
    for (int bit = 63; bit >= 0; --bit) {
      const std::uint64_t tried = line | (std::uint64_t{1} << bit);
      const bool known = bit < 32 && bit >= id_bits;  // of every ~id these bits are ones
      if (known || MassFrom(block, shared, tried, weight) >= goal) line = tried;
    }
    return line;
  }

  // Mass of each lane's run of ids in a tile.
  template <class Block>
  AHA_DEVICE void RunMasses(Block& block, DrawShared& shared, int tile) const {
    block.Lanes([&](int lane) {
      const std::int64_t first = std::int64_t{tile} * kDrawTile + std::int64_t{lane} * kDrawRun;
      double sum = 0;
      for (std::int64_t i = first; i < first + kDrawRun && i < vocabulary_; ++i)
        sum += Probability(i);
      shared.mass[lane] = sum;
    });
  }

  AHA_DEVICE std::int32_t PickInTile(const DrawShared& shared,
                                     int tile,
                                     double before,
                                     double line) const {
    double running = before;
    int run = 0, last = 0;
    for (; run < kLanes; ++run) {
      if (shared.mass[run] > 0) last = run;
      if (running + shared.mass[run] > line) break;
      running += shared.mass[run];
    }
    const bool beyond = run == kLanes;
    const std::int64_t first =
        std::int64_t{tile} * kDrawTile + std::int64_t{beyond ? last : run} * kDrawRun;
    std::int64_t chosen = first;
    for (std::int64_t i = first; i < first + kDrawRun && i < vocabulary_; ++i) {
      const double p = Probability(i);
      if (p == 0) continue;
      running += p;
      chosen = i;
      if (!beyond && running > line) break;
    }
    return static_cast<std::int32_t>(chosen);
  }

  const float* logits_;
  std::int64_t vocabulary_;
  float temperature_, most_ = 0, log_sum_ = 0;
  std::uint64_t line_ = 0;
  double least_ = 0;
};

/// The kernel: row `row` by one block.
template <class Block>
AHA_DEVICE void Draw(Block& block, const DrawArgs& args, std::int64_t row, DrawShared& shared) {
  const DrawRequest request = args.request_N[row];
  DrawRow x(args.logits_NV + row * args.vocabulary, args.vocabulary, request.temperature);
  DrawnToken out;
  x.Measure(block, shared, out);
  const bool finite = out.logprob - out.logprob == 0;  // else the caller says what is wrong
  if (request.temperature != 0 && finite) {
    x.Truncate(block, shared, request);
    out.token = x.Pick(block, shared, UniformDraw(request.key, request.position));
    out.logprob = x.Logprob(out.token);
  }
  block.Lanes([&](int lane) {
    if (lane == 0) args.out_N[row] = out;
  });
}

}  // namespace aha::policy::cuda
