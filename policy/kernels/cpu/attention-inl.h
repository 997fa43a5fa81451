// Attention of one target. A chunk's rows read the same key-value head; neighbours that read the
// same page read it together (a run). Every row goes through its keys in the same blocks, whatever
// rows are beside it.
namespace aha::policy::cpu::AHA_NS {
// Each uses the one before.
// clang-format off
#include "policy/kernels/cpu/simd-inl.h"
#include "policy/kernels/cpu/tile-inl.h"
#include "policy/kernels/cpu/turn-inl.h"
#include "policy/kernels/cpu/page_forms-inl.h"
// clang-format on

// What the tiles multiply with: bf16 pairs, or floats.
template <Way way>
using Number = std::conditional_t<way == Way::kPairs, Bf16, float>;

// Sums of `rows` x `vectors` vectors: to = [scaled or zero] + x w, with w's vectors side by side.
struct TileCall {
  Source x;
  const std::byte* const* w;        // a block of steps each, its vectors side by side; or
  const std::byte* const* vectors;  // one block, each vector where this says
  const std::byte* const* ahead;    // null, or for each of w or of vectors: asked for meanwhile
  const std::size_t* steps;         // of each block
  std::size_t blocks;
  std::size_t step_bytes;
  std::size_t x_block_bytes;  // between x's numbers of one block and of the next
  float* to;
  std::size_t stride;
  bool load;
  const float* factor;  // of what `to` holds, by row; null: 1
};

template <Way way, int MR, int NV>
void SumTile(const TileCall& call) {
  Tile<MR, NV> tile;
#pragma GCC unroll 12
  for (int m = 0; m < MR; ++m) {
#pragma GCC unroll 8
    for (int v = 0; v < NV; ++v)
      tile.sum[m][v] = call.load ? Load(call.to + m * call.stride + v * kL) : Zeros();
  }
  if (call.factor != nullptr) {
#pragma GCC unroll 12
    for (int m = 0; m < MR; ++m) {
      const V factor = Set(call.factor[m]);
#pragma GCC unroll 8
      for (int v = 0; v < NV; ++v)
        tile.sum[m][v] = hn::Mul(tile.sum[m][v], factor);
    }
  }
  for (std::size_t b = 0; b < call.blocks; ++b) {
    const std::byte* from[NV];
    for (int v = 0; v < NV; ++v)
      from[v] = call.vectors != nullptr ? call.vectors[v] : call.w[b] + v * (kL * 4);
    const Source x = {call.x.data + b * call.x_block_bytes, call.x.bytes};
    if (call.ahead != nullptr) {
      AheadOfEach<NV> ahead;
      for (int v = 0; v < NV; ++v)
        ahead.from[v] = call.vectors != nullptr ? call.ahead[v] : call.ahead[b] + v * (kL * 4);
      Accumulate<way, MR, NV>(x, from, call.steps[b], call.step_bytes, tile, ahead);
    } else {
      Accumulate<way, MR, NV>(x, from, call.steps[b], call.step_bytes, tile);
    }
  }
#pragma GCC unroll 12
  for (int m = 0; m < MR; ++m) {
#pragma GCC unroll 8
    for (int v = 0; v < NV; ++v)
      Store(tile.sum[m][v], call.to + m * call.stride + v * kL);
  }
}

template <Way way, int NV, std::size_t... I>
constexpr auto SumTiles(std::index_sequence<I...>) {
  return std::array<void (*)(const TileCall&), sizeof...(I)>{
      SumTile<way, static_cast<int>(I) + 1, NV>...};
}

// The same for any number of rows and vectors. Few rows take more vectors at a time, to hide the
// latency of sums.
template <Way way>
void SumRows(TileCall call, std::size_t rows, std::size_t vectors) {
  constexpr bool kWide = kL == 16;
  constexpr std::size_t kFew = kWide ? 3 : 1, kSome = kWide ? 6 : 1;
  static constexpr auto kOne = SumTiles<way, 1>(std::make_index_sequence<kMostRows>());
  static constexpr auto kTwo = SumTiles<way, 2>(std::make_index_sequence<kMostRows>());
  static constexpr auto kFour = SumTiles<way, 4>(std::make_index_sequence<kSome>());
  constexpr int kMany = kWide ? 8 : 4;
  static constexpr auto kEight = SumTiles<way, kMany>(std::make_index_sequence<kFew>());
  const std::size_t tiles = (rows + kMostRows - 1) / kMostRows;
  const TileCall whole = call;
  std::array<const std::byte*, kAttentionBlock / 16> from, ahead;
  for (std::size_t v = 0; v < vectors;) {
    const std::size_t left = vectors - v;
    const std::size_t step = kWide && rows <= kFew && left >= 8 ? 8
                             : rows <= kSome && left >= 4       ? 4
                             : left >= 2                        ? 2
                                                                : 1;
    if (whole.vectors != nullptr) {
      call.vectors = whole.vectors + v;
      if (whole.ahead != nullptr) call.ahead = whole.ahead + v;
    } else {
      for (std::size_t b = 0; b < call.blocks; ++b) {
        from[b] = whole.w[b] + v * (kL * 4);
        if (whole.ahead != nullptr) ahead[b] = whole.ahead[b] + v * (kL * 4);
      }
      call.w = from.data();
      if (whole.ahead != nullptr) call.ahead = ahead.data();
    }
    for (std::size_t t = 0; t < tiles; ++t) {
      const std::size_t first = rows * t / tiles;
      const std::size_t m = rows * (t + 1) / tiles - first - 1;
      call.x.data = whole.x.data + first * whole.x.bytes;
      call.to = whole.to + first * whole.stride + v * kL;
      call.factor = whole.factor == nullptr ? nullptr : whole.factor + first;
      if (t > 0) call.ahead = nullptr;  // asked for
      (step == 8 ? kEight[m] : step == 4 ? kFour[m] : step == 2 ? kTwo[m] : kOne[m])(call);
    }
    v += step;
  }
}

template <class T, Way way>
class Attend {
  static constexpr std::size_t kStepKeys = way == Way::kFp32 ? 1 : 2;
  using X = Number<way>;

 public:
  explicit Attend(const AttentionChunk& chunk) : c_(chunk), s_(chunk.shape) {
    wide_key_ = s_.padded_key();
    wide_value_ = s_.padded_value();
    key_bytes_ = s_.page_tokens * wide_key_ * sizeof(T);
    q_ = static_cast<X*>(ThreadScratch(ScratchSlot::kRows,
                                       kAttentionRows * (wide_key_ + kAttentionBlock) * sizeof(X)));
    weights_ = q_ + kAttentionRows * wide_key_;
    scores_ = static_cast<float*>(
        ThreadScratch(ScratchSlot::kScores, kAttentionRows * kAttentionBlock * sizeof(float)));
    mix_ = static_cast<float*>(
        ThreadScratch(ScratchSlot::kMix, kAttentionRows * wide_value_ * sizeof(float)));
    if (s_.latent) {
      forms_ = static_cast<T*>(ThreadScratch(
          ScratchSlot::kPage, kAttentionBlock * std::max(wide_key_, wide_value_) * sizeof(T)));
    }
  }

  void operator()() {
    std::size_t longest = 0;
    for (std::size_t r = c_.count; r-- > 0;) {
      const bool same = r + 1 < c_.count && c_.rows[r + 1].pages == c_.rows[r].pages &&
                        c_.rows[r + 1].keys >= c_.rows[r].keys;
      sequence_end_[r] = same ? sequence_end_[r + 1] : r + 1;
      StageQuery(r);
      most_[r] = -std::numeric_limits<float>::infinity();
      total_[r] = 0;
      std::fill_n(mix_ + r * wide_value_, wide_value_, 0.0F);
      longest = std::max(longest, c_.rows[r].keys);
    }
    for (std::size_t start = 0; start < longest; start += kAttentionBlock) {
      Scores(start, longest);
      for (std::size_t r = 0; r < c_.count; ++r)
        FindMost(r, start);
      for (std::size_t r = 0; r < c_.count; ++r)
        Weigh(r, start);
      asked_ = 0;
      Mix(start, longest);
    }
    for (std::size_t r = 0; r < c_.count; ++r)
      Finish(r);
  }

 private:
  void StageQuery(std::size_t r) {
    const T* from = static_cast<const T*>(c_.rows[r].q);
    X* to = q_ + r * wide_key_;
    if constexpr (std::is_same_v<X, T>) {
      std::memcpy(to, from, s_.key_width * sizeof(T));
    } else {
      for (std::size_t i = 0; i < s_.key_width; ++i)
        to[i] = ToFloat(from[i]);
    }
    if (wide_key_ > s_.key_width) to[s_.key_width] = X{};
  }

  // Rows from r on that read one page for positions from `start`; empty when row r does not look
  // there.
  [[nodiscard]] std::size_t RunEnd(std::size_t r, std::size_t start) const {
    const std::size_t place = start / s_.page_tokens;
    if (c_.rows[r].keys <= start) return r;
    const std::int32_t page = c_.rows[r].pages[place];
    std::size_t end = sequence_end_[r];
    while (end < c_.count && c_.rows[end].keys > start && c_.rows[end].pages[place] == page)
      end = sequence_end_[end];
    return end;
  }
  // The next row to look at after a run, or after rows that look nowhere near.
  [[nodiscard]] std::size_t Next(std::size_t r, std::size_t end) const {
    return end > r ? end : r + 1;
  }
  [[nodiscard]] bool SameRuns(std::size_t a, std::size_t b) const {
    for (std::size_t r = 0; r < c_.count;) {
      const std::size_t end = RunEnd(r, a);
      if (RunEnd(r, b) != end) return false;
      r = Next(r, end);
    }
    return true;
  }
  [[nodiscard]] const std::byte* PageOf(std::size_t r, std::size_t start) const {
    return c_.pool +
           static_cast<std::size_t>(c_.rows[r].pages[start / s_.page_tokens]) * c_.page_stride;
  }
  [[nodiscard]] std::size_t MostKeys(std::size_t r, std::size_t end) const {
    std::size_t keys = 0;
    for (; r < end; ++r)
      keys = std::max(keys, c_.rows[r].keys);
    return keys;
  }

  // Calls f(first row, end row, first position, end position) for runs, over as many pages as have
  // the same ones (one at most if `single`).
  template <class F>
  void EachRun(std::size_t block, std::size_t longest, bool single, const F& f) {
    const std::size_t block_end = std::min(block + kAttentionBlock, longest);
    for (std::size_t start = block; start < block_end;) {
      std::size_t group_end = start + s_.page_tokens;
      while (!single && group_end < block_end && SameRuns(start, group_end))
        group_end += s_.page_tokens;
      for (std::size_t r = 0; r < c_.count;) {
        const std::size_t end = RunEnd(r, start);
        if (end > r) f(r, end, start, group_end);
        r = Next(r, end);
      }
      start = group_end;
    }
  }

  void Scores(std::size_t block, std::size_t longest) {
    const std::size_t tokens = s_.page_tokens;
    EachRun(
        block, longest, s_.latent,
        [&](std::size_t r, std::size_t end, std::size_t start, std::size_t group_end) AHA_ATTR {
          const std::size_t keys = std::min(group_end, MostKeys(r, end));
          std::array<const std::byte*, kAttentionBlock / kL> vectors, values;
          std::size_t count = 0;
          for (std::size_t at = start; at < keys; at += tokens) {
            const std::byte* page = PageOf(r, at);
            if (s_.latent)
              page = KeyForm(reinterpret_cast<const T*>(page), tokens, wide_key_, forms_);
            for (std::size_t v = 0; v < tokens / kL; ++v, ++count) {
              vectors[count] = page + v * (kL * 4);
              values[count] = vectors[count] + key_bytes_;
            }
          }
          TileCall call{};
          const std::size_t steps = wide_key_ / kStepKeys;
          call.x = {reinterpret_cast<const std::byte*>(q_ + r * wide_key_), wide_key_ * sizeof(X)};
          call.vectors = vectors.data();
          if (!s_.latent) call.ahead = values.data();
          call.steps = &steps;
          call.blocks = 1;
          call.step_bytes = tokens * 4;
          call.to = scores_ + r * kAttentionBlock + (start - block);
          call.stride = kAttentionBlock;
          SumRows<way>(call, end - r, count);
        });
  }

  // A page whose keys are read soon after the values of row r's page at `at`: the next block's, or
  // of who comes next. Null: none.
  [[nodiscard]] const std::byte* PageAfter(std::size_t r, std::size_t block, std::size_t at) {
    if (block + kAttentionBlock < c_.rows[r].keys) {
      const std::size_t next = at + kAttentionBlock;
      return next < c_.rows[r].keys ? PageOf(r, next) : nullptr;
    }
    if (asked_ * s_.page_tokens >= std::min(c_.next.keys, kAttentionBlock)) return nullptr;
    return c_.next.pool + static_cast<std::size_t>(c_.next.pages[asked_++]) * c_.page_stride;
  }
  // Keys of row r's next block, if its own pages begin there: a run asks for those of its first row
  // alone.
  void AskOwn(std::size_t r, std::size_t block) const {
    const std::size_t next = block + kAttentionBlock;
    if (s_.latent || r == 0 || c_.rows[r].keys <= next || c_.rows[r - 1].keys <= next) return;
    const auto same = [&](std::size_t at) {
      const std::size_t place = at / s_.page_tokens;
      return c_.rows[r].pages[place] == c_.rows[r - 1].pages[place];
    };
    if (same(next) || !same(next - 1)) return;
    const std::size_t end = std::min(c_.rows[r].keys, next + kAttentionBlock);
    for (std::size_t at = next; at < end; at += s_.page_tokens) {
      for (std::size_t i = 0; i < key_bytes_; i += 64)
        Ask(PageOf(r, at) + i);
    }
  }

  // Softmax's first step of one row over one block: its scores scaled, and the largest one.
  void FindMost(std::size_t r, std::size_t block) {
    factor_[r] = 1;
    if (c_.rows[r].keys <= block) return;
    const std::size_t keys = std::min(kAttentionBlock, c_.rows[r].keys - block);
    float* scores = scores_ + r * kAttentionBlock;
    std::fill(scores + keys, scores + (keys + kL - 1) / kL * kL,
              -std::numeric_limits<float>::infinity());
    V most = Set(-std::numeric_limits<float>::infinity());
    for (std::size_t i = 0; i < keys; i += kL) {
      const V scaled = hn::Mul(Load(scores + i), Set(c_.scale));
      Store(scaled, scores + i);
      most = hn::Max(most, scaled);
    }
    const float before = most_[r];
    most_[r] = std::max(before, Largest(most));
    factor_[r] = before - most_[r];
  }
  // Its second: weights_, and factor_ for what was mixed before.
  void Weigh(std::size_t r, std::size_t block) {
    if (c_.rows[r].keys <= block) return;
    AskOwn(r, block);
    const std::size_t keys = std::min(kAttentionBlock, c_.rows[r].keys - block);
    const float* scores = scores_ + r * kAttentionBlock;
    X* weights = weights_ + r * kAttentionBlock;
    V sum = Zeros();
    for (std::size_t i = 0; i < keys; i += kL) {
      const V weight = ExpLow(hn::Sub(Load(scores + i), Set(most_[r])));
      sum = hn::Add(sum, weight);
      Store(Rounded<T>(weight), weights + i);
    }
    for (std::size_t i = (keys + kL - 1) / kL * kL; i < kAttentionBlock; ++i)
      weights[i] = X{};
    factor_[r] = hn::GetLane(Exp(Set(factor_[r])));
    total_[r] = total_[r] * factor_[r] + Sum(sum);
  }

  void Mix(std::size_t block, std::size_t longest) {
    EachRun(block, longest, false,
            [&](std::size_t r, std::size_t end, std::size_t start, std::size_t group_end)
                AHA_ATTR { MixRun(r, end, block, start, group_end); });
  }

  void MixRun(std::size_t r,
              std::size_t end,
              std::size_t block,
              std::size_t start,
              std::size_t group_end) {
    const std::size_t tokens = s_.page_tokens;
    const std::size_t keys = MostKeys(r, end);
    std::array<const std::byte*, kAttentionBlock / 16> pages, after;
    std::array<std::size_t, kAttentionBlock / 16> steps;
    TileCall call{};
    for (std::size_t at = start; at < group_end && at < keys; at += tokens, ++call.blocks) {
      const std::byte* page = PageOf(r, at);
      if (s_.latent) {
        page = ValueForm(reinterpret_cast<const T*>(page), tokens, wide_key_, s_.value_width,
                         wide_value_, forms_ + (at - start) * wide_value_);
      } else {
        page += tokens * wide_key_ * sizeof(T);
      }
      pages[call.blocks] = page;
      const std::byte* keys_after = PageAfter(r, block, at);
      after[call.blocks] = keys_after != nullptr ? keys_after : page;
      steps[call.blocks] = (std::min(tokens, keys - at) + kStepKeys - 1) / kStepKeys;
    }
    call.x = {reinterpret_cast<const std::byte*>(weights_ + r * kAttentionBlock + (start - block)),
              kAttentionBlock * sizeof(X)};
    call.x_block_bytes = tokens * sizeof(X);
    call.steps = steps.data();
    call.step_bytes = wide_value_ * 4;
    call.to = mix_ + r * wide_value_;
    call.stride = wide_value_;
    call.load = true;
    call.factor = start == block ? factor_.data() + r : nullptr;
    call.w = pages.data();
    if (!s_.latent) call.ahead = after.data();
    SumRows<way>(call, end - r, wide_value_ / kL);
  }

  void Finish(std::size_t r) const {
    const V share = Set(1.0F / total_[r]);
    T* y = static_cast<T*>(c_.rows[r].y);
    for (std::size_t i = 0; i < s_.value_width; i += kL) {
      // + 0: a key without weight may have left a negative zero.
      const V mixed = hn::Add(hn::Mul(LoadN(mix_ + r * wide_value_ + i, kL), share), Zeros());
      StoreN(mixed, y + i, s_.value_width - i);
    }
    if (c_.rows[r].lse != nullptr)
      *c_.rows[r].lse = static_cast<float>(double{most_[r]} + std::log(double{total_[r]}));
  }

  const AttentionChunk& c_;
  KvShape s_;
  std::size_t wide_key_ = 0, wide_value_ = 0;
  std::size_t key_bytes_ = 0;  // of one head's part of a page
  X* q_ = nullptr;
  X* weights_ = nullptr;     // [rows][block]
  float* scores_ = nullptr;  // [rows][block]
  float* mix_ = nullptr;     // [rows][wide_value_]
  T* forms_ = nullptr;       // a latent page's form
  std::array<float, kAttentionRows> most_{}, total_{}, factor_{};
  std::size_t asked_ = 0;  // pages of who comes next
  std::array<std::size_t, kAttentionRows>
      sequence_end_{};  // after the rows that follow in one sequence, keys ascending
};

template <class T, Way way>
void RunChunk(const AttentionChunk& chunk) {
  Attend<T, way> attend(chunk);
  attend();
}

const AttentionKernels& AttentionTable() {
  static constexpr AttentionKernels kTable = {RunChunk<Bf16, kBf16Way>,
                                              RunChunk<float, Way::kFp32>};
  return kTable;
}

}  // namespace aha::policy::cpu::AHA_NS
