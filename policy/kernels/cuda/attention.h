#pragma once
/// Causal attention over a paged cache, grouped heads (GQA) or the absorbed latent form (MLA), one
/// query token at a time: what decoding needs, and right for a prompt's tokens too.
///
/// The context is cut into parts of kPartTokens positions, counted from 0, one block each, so that
/// a long context fills a GPU; a second kernel puts the parts together in their order. How a
/// token's sums are cut depends on its position alone: what else is in the batch changes no bit.
///
/// Shapes: T query tokens, A heads, P key heads, W numbers of a key, D of a value, S sequences, B
/// pages in a row of the block table.

#include "policy/kernels/cuda/host_device.h"

namespace aha::policy::cuda {

/// A cached row holds, latent: the latent and the rotated key, W numbers, of which the first D are
/// the value; grouped: P keys of W numbers, then P values of D.
template <class T>
struct AttentionArgs {
  const T* query_TAW = nullptr;
  const T* pages = nullptr;  ///< [pages, page_tokens, row_width]
  T* out_TAD = nullptr;
  const std::int64_t* pages_SB = nullptr;
  const std::int64_t* sequence_T = nullptr;
  const std::int64_t* position_T = nullptr;  ///< a token sees the rows up to its own position
  float* parts = nullptr;                    ///< AttentionScratch numbers
  std::int64_t tokens = 0, longest = 0;      ///< `longest`: positions of the longest context
  std::int64_t table_width = 0, page_tokens = 0, row_width = 0;
  int heads = 0, key_heads = 1, key_width = 0, value_width = 0;
  bool latent = false;
  float scale = 1;
};

constexpr int kHeadTile = 8;  ///< query heads of a block; they share keys
constexpr int kKeyTile = 32;  ///< keys in shared memory at once
constexpr int kPartTokens = 512;
static_assert(kHeadTile * kKeyTile == kLanes);

AHA_HOST_DEVICE inline std::int64_t Ceil(std::int64_t a, std::int64_t b) {
  return (a + b - 1) / b;
}
template <class T>
AHA_HOST_DEVICE std::int64_t AttentionParts(const AttentionArgs<T>& args) {
  return Ceil(args.longest, kPartTokens);
}
/// Blocks of one token and part.
template <class T>
AHA_HOST_DEVICE std::int64_t AttentionHeadBlocks(const AttentionArgs<T>& args) {
  return args.key_heads * Ceil(args.heads / args.key_heads, kHeadTile);
}
/// Numbers of the work space: of each token, head and part a mix, the largest score and the sum.
template <class T>
AHA_HOST_DEVICE std::int64_t AttentionScratch(const AttentionArgs<T>& args) {
  return args.tokens * args.heads * AttentionParts(args) * (args.value_width + 2);
}

/// Shared memory of a block, laid out.
template <class T>
struct AttentionShared {
  float* query;    // [kHeadTile][W]
  float* mix;      // [kHeadTile][D]
  float* weight;   // [kHeadTile][kKeyTile]: scores, then weights
  float* most;     // [kHeadTile]
  float* sum;      // [kHeadTile]
  float* shrink;   // [kHeadTile]
  T* keys;         // [kKeyTile][key_stride]
  T* values;       // [kKeyTile][value_stride]; latent: the keys
  int key_stride;  // an odd number of words: lanes side by side read different banks
  int value_stride;
  std::size_t bytes;

  AHA_HOST_DEVICE AttentionShared(const AttentionArgs<T>& args, void* memory) {
    const int even = (args.key_width + 1) / 2 * 2;
    key_stride = sizeof(T) == 2 ? even + (even % 4 == 0 ? 2 : 0) : args.key_width | 1;
    query = static_cast<float*>(memory);
    mix = query + kHeadTile * args.key_width;
    weight = mix + kHeadTile * args.value_width;
    most = weight + kHeadTile * kKeyTile;
    sum = most + kHeadTile;
    shrink = sum + kHeadTile;
    keys = reinterpret_cast<T*>(shrink + kHeadTile);
    values = args.latent ? keys : keys + kKeyTile * key_stride;
    value_stride = args.latent ? key_stride : args.value_width;
    const std::size_t rows =
        static_cast<std::size_t>(kKeyTile) *
        static_cast<std::size_t>(key_stride + (args.latent ? 0 : value_stride));
    const std::size_t floats =
        static_cast<std::size_t>(kHeadTile) *
        static_cast<std::size_t>(args.key_width + args.value_width + kKeyTile + 3);
    bytes = floats * sizeof(float) + rows * sizeof(T);
  }
};

/// One part of one token, for up to kHeadTile heads of a key head.
template <class Block, class T>
class AttentionPart {
 public:
  AHA_DEVICE AttentionPart(Block& block,
                           const AttentionArgs<T>& args,
                           const AttentionShared<T>& shared,
                           std::int64_t token,
                           std::int64_t head_block,
                           std::int64_t part)
      : block_(block), args_(args), shared_(shared), token_(token), part_(part) {
    const int group = args.heads / args.key_heads;
    const auto tiles = static_cast<int>(Ceil(group, kHeadTile));
    key_head_ = static_cast<int>(head_block) / tiles;
    const int first = static_cast<int>(head_block) % tiles * kHeadTile;
    first_head_ = key_head_ * group + first;
    heads_ = group - first < kHeadTile ? group - first : kHeadTile;
    position_ = args.position_T[token];
    table_ = args.pages_SB + args.sequence_T[token] * args.table_width;
  }

  AHA_DEVICE void Run() {
    const std::int64_t start = part_ * kPartTokens;
    if (start > position_) return;
    Begin();
    const std::int64_t end = start + kPartTokens <= position_ ? start + kPartTokens : position_ + 1;
    for (std::int64_t first = start; first < end; first += kKeyTile) {
      Load(first);
      Score(first);
      Soften();
      Mix();
    }
    Leave();
  }

 private:
  AHA_DEVICE void Begin() {
    const T* query = args_.query_TAW + (token_ * args_.heads + first_head_) * args_.key_width;
    block_.Lanes([&](int lane) {
      for (int i = lane; i < kHeadTile * args_.key_width; i += kLanes)
        shared_.query[i] = i < heads_ * args_.key_width ? Widen(query[i]) : 0;
      for (int i = lane; i < kHeadTile * args_.value_width; i += kLanes)
        shared_.mix[i] = 0;
      if (lane < kHeadTile) {
        shared_.most[lane] = -INFINITY;
        shared_.sum[lane] = 0;
      }
    });
  }

  AHA_DEVICE const T* RowOf(std::int64_t position) const {
    const std::int64_t page = table_[position / args_.page_tokens];
    return args_.pages +
           (page * args_.page_tokens + position % args_.page_tokens) * args_.row_width;
  }

  AHA_DEVICE void Load(std::int64_t first) {
    block_.Lanes([&](int lane) {
      Fill(lane, first, shared_.keys, shared_.key_stride, args_.key_width,
           key_head_ * args_.key_width);
      if (args_.latent) return;
      Fill(lane, first, shared_.values, shared_.value_stride, args_.value_width,
           args_.key_heads * args_.key_width + key_head_ * args_.value_width);
    });
  }
  // A lane's share of kKeyTile rows; zeros behind the token's position.
  AHA_DEVICE void Fill(int lane, std::int64_t first, T* to, int stride, int width, int offset)
      const {
    for (int i = lane; i < kKeyTile * width; i += kLanes) {
      const int row = i / width, at = i % width;
      T number{};
      if (first + row <= position_) number = RowOf(first + row)[offset + at];
      to[row * stride + at] = number;
    }
  }

  AHA_DEVICE void Score(std::int64_t first) {
    block_.Lanes([&](int lane) {
      const int head = lane / kKeyTile, key = lane % kKeyTile;
      const float* q = shared_.query + head * args_.key_width;
      const T* k = shared_.keys + key * shared_.key_stride;
      float dot = 0;
      for (int i = 0; i < args_.key_width; ++i)
        dot = fmaf(q[i], Widen(k[i]), dot);
      shared_.weight[lane] = first + key <= position_ ? dot * args_.scale : -INFINITY;
    });
  }

  // Scores become weights under the largest score so far; a tile's first key is always seen.
  AHA_DEVICE void Soften() {
    block_.Lanes([&](int lane) {
      if (lane >= kHeadTile) return;
      const float* scores = shared_.weight + lane * kKeyTile;
      float most = shared_.most[lane];
      for (int key = 0; key < kKeyTile; ++key)
        most = scores[key] > most ? scores[key] : most;
      shared_.shrink[lane] = ExpLow(shared_.most[lane] - most);
      shared_.most[lane] = most;
    });
    block_.Lanes([&](int lane) {
      shared_.weight[lane] = ExpLow(shared_.weight[lane] - shared_.most[lane / kKeyTile]);
    });
  }

  AHA_DEVICE void Mix() {
    block_.Lanes([&](int lane) {
      for (int i = lane; i < kHeadTile * args_.value_width; i += kLanes) {
        const int head = i / args_.value_width, at = i % args_.value_width;
        const float* weight = shared_.weight + head * kKeyTile;
        float mix = shared_.mix[i] * shared_.shrink[head];
        for (int key = 0; key < kKeyTile; ++key)
          mix = fmaf(weight[key], Widen(shared_.values[key * shared_.value_stride + at]), mix);
        shared_.mix[i] = mix;
      }
      if (lane < kHeadTile) {
        float sum = shared_.sum[lane] * shared_.shrink[lane];
        for (int key = 0; key < kKeyTile; ++key)
          sum += shared_.weight[lane * kKeyTile + key];
        shared_.sum[lane] = sum;
      }
    });
  }

  AHA_DEVICE void Leave() {
    const std::int64_t wide = args_.value_width + 2, parts = AttentionParts(args_);
    block_.Lanes([&](int lane) {
      for (int i = lane; i < heads_ * args_.value_width; i += kLanes) {
        const int head = i / args_.value_width, at = i % args_.value_width;
        PartOf(args_, token_, first_head_ + head, part_, parts, wide)[at] = shared_.mix[i];
      }
      if (lane < heads_) {
        float* out = PartOf(args_, token_, first_head_ + lane, part_, parts, wide);
        out[args_.value_width] = shared_.most[lane];
        out[args_.value_width + 1] = shared_.sum[lane];
      }
    });
  }

 public:
  AHA_DEVICE static float* PartOf(const AttentionArgs<T>& args,
                                  std::int64_t token,
                                  int head,
                                  std::int64_t part,
                                  std::int64_t parts,
                                  std::int64_t wide) {
    return args.parts + ((token * args.heads + head) * parts + part) * wide;
  }

 private:
  Block& block_;
  const AttentionArgs<T>& args_;
  const AttentionShared<T>& shared_;
  std::int64_t token_, part_, position_ = 0;
  const std::int64_t* table_ = nullptr;
  int key_head_ = 0, first_head_ = 0, heads_ = 0;
};

/// Puts the parts of one token and head together.
template <class Block, class T>
AHA_DEVICE void JoinParts(Block& block,
                          const AttentionArgs<T>& args,
                          std::int64_t token,
                          int head) {
  const std::int64_t parts = AttentionParts(args), wide = args.value_width + 2;
  const std::int64_t used = args.position_T[token] / kPartTokens + 1;
  const float* first = AttentionPart<Block, T>::PartOf(args, token, head, 0, parts, wide);
  block.Lanes([&](int lane) {
    if (lane >= args.value_width) return;
    float most = -INFINITY;
    for (std::int64_t p = 0; p < used; ++p) {
      const float part_most = first[p * wide + args.value_width];
      most = part_most > most ? part_most : most;
    }
    float sum = 0;
    for (std::int64_t p = 0; p < used; ++p) {
      const float* part = first + p * wide;
      sum = fmaf(part[args.value_width + 1], ExpLow(part[args.value_width] - most), sum);
    }
    for (int at = lane; at < args.value_width; at += kLanes) {
      float mix = 0;
      for (std::int64_t p = 0; p < used; ++p) {
        const float* part = first + p * wide;
        mix = fmaf(part[at], ExpLow(part[args.value_width] - most), mix);
      }
      Put(args.out_TAD[(token * args.heads + head) * args.value_width + at], mix / sum);
    }
  });
}

}  // namespace aha::policy::cuda
