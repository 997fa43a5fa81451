#pragma once
/// A mixture's routed experts: dispatch (rows by expert), products by expert, combine (each token's
/// slots in their order). No count crosses to the host. A row's sums do not depend on its company.
///
/// Shapes: T tokens, K slots, S = T * K sent rows, E experts, M rows of a product's result, N
/// columns, I numbers summed over.

#include "policy/kernels/cuda/host_device.h"

namespace aha::policy::cuda {

struct DispatchArgs {
  const std::int64_t* experts_S = nullptr;  ///< of token * K + slot
  std::int32_t* start_E1 = nullptr;         ///< [E + 1]: first sent row of each expert
  std::int32_t* from_S = nullptr;           ///< token * K + slot of each sent row
  std::int32_t* place_S = nullptr;          ///< sent row of each token * K + slot
  std::int64_t sent = 0;
  int experts = 0;
};

struct DispatchShared {
  std::int32_t less[kLanes], equal[kLanes];
  std::int32_t start;
};

/// Expert `expert`'s rows, in order of tokens and slots, by one block: a lane looks through one run
/// of the list.
template <class Block>
AHA_DEVICE void Dispatch(Block& block,
                         const DispatchArgs& args,
                         int expert,
                         DispatchShared& shared) {
  const std::int64_t run = (args.sent + kLanes - 1) / kLanes;
  const auto end_of = [&](int lane) {
    const std::int64_t end = (lane + 1) * run;
    return end < args.sent ? end : args.sent;
  };
  block.Lanes([&](int lane) {
    std::int32_t less = 0, equal = 0;
    for (std::int64_t i = lane * run; i < end_of(lane); ++i) {
      less += args.experts_S[i] < expert ? 1 : 0;
      equal += args.experts_S[i] == expert ? 1 : 0;
    }
    shared.less[lane] = less;
    shared.equal[lane] = equal;
  });
  block.Lanes([&](int lane) {
    if (lane != 0) return;
    std::int32_t start = 0;
    for (int l = 0; l < kLanes; ++l)
      start += shared.less[l];
    shared.start = start;
    for (int l = 0; l < kLanes; ++l) {  // counts become first places
      const std::int32_t equal = shared.equal[l];
      shared.equal[l] = start;
      start += equal;
    }
  });
  block.Lanes([&](int lane) {
    std::int32_t place = shared.equal[lane];
    for (std::int64_t i = lane * run; i < end_of(lane); ++i) {
      if (args.experts_S[i] != expert) continue;
      args.from_S[place] = static_cast<std::int32_t>(i);
      args.place_S[i] = place++;
    }
    if (lane != 0) return;
    args.start_E1[expert] = shared.start;
    if (expert == args.experts - 1)
      args.start_E1[args.experts] = static_cast<std::int32_t>(args.sent);
  });
}

/// y[r] = x[source(r)] W_e^T + b_e for the sent rows r of each expert e.
template <class T>
struct GroupedArgs {
  const T* x = nullptr;  ///< [T, I] with `from_S`, else [S, I]
  T* y_SN = nullptr;
  const T* const* weight_E = nullptr;  ///< each [N, I]
  const T* const* bias_E = nullptr;    ///< each [N]; null: none
  const std::int32_t* start_E1 = nullptr;
  const std::int32_t* from_S = nullptr;  ///< sent row r is row from[r] / slots of x; null: row r
  std::int64_t sent = 0;
  int slots = 1, experts = 0, columns = 0, inner = 0;
};

constexpr int kTileRows = 64, kTileColumns = 64, kTileInner = 32;
constexpr int kTileStride = kTileInner + 8;  ///< of shared tiles: 16-byte rows, banks spread
constexpr int kTileOut = kTileColumns + 4;

template <class T>
struct GroupedShared {
  alignas(32) T x[kTileRows * kTileStride];
  alignas(32) T weight[kTileColumns * kTileStride];
  alignas(32) float out[kTileRows * kTileOut];
  std::int64_t source[kTileRows];
};

/// Who multiplies what of a tile: a thread's 4 x 4 sums in fp32; in bf16 a warp's two squares of
/// kSquare x kSquare, side by side.
constexpr int kSquare = 16;
AHA_HOST_DEVICE constexpr int ThreadRow(int thread) {
  return thread / 16 * 4;
}
AHA_HOST_DEVICE constexpr int ThreadColumn(int thread) {
  return thread % 16 * 4;
}
AHA_HOST_DEVICE constexpr int SquareRow(int thread) {
  return thread / 64 * kSquare;
}
AHA_HOST_DEVICE constexpr int SquareColumn(int thread, int square) {
  return (thread / 32 % 2 * 2 + square) * kSquare;
}

/// Blocks enough for every expert's last, partly filled tile.
template <class T>
AHA_HOST_DEVICE std::int64_t GroupedRowTiles(const GroupedArgs<T>& args) {
  const std::int64_t most = args.sent / kTileRows + args.experts;
  return most < args.sent ? most : args.sent;
}

/// Which rows row tile `tile` holds; count 0: there are fewer tiles.
struct RowTile {
  int expert = 0, first = 0, count = 0;
};
AHA_HOST_DEVICE inline RowTile FindRowTile(const std::int32_t* start_E1,
                                           int experts,
                                           std::int64_t tile) {
  for (int e = 0; e < experts; ++e) {
    const int rows = start_E1[e + 1] - start_E1[e];
    const int tiles = (rows + kTileRows - 1) / kTileRows;
    if (tile < tiles) {
      const int first = static_cast<int>(tile) * kTileRows;
      return {e, start_E1[e] + first, rows - first < kTileRows ? rows - first : kTileRows};
    }
    tile -= tiles;
  }
  return {};
}

/// One tile of one expert's product. `Product` multiplies tiles of shared memory: on a GPU by its
/// tensor cores for bf16.
template <class Product, class Block, class T>
AHA_DEVICE void GroupedProduct(Block& block,
                               const GroupedArgs<T>& args,
                               std::int64_t row_tile,
                               int column_tile,
                               GroupedShared<T>& shared) {
  const RowTile rows = FindRowTile(args.start_E1, args.experts, row_tile);
  if (rows.count == 0) return;
  const T* const weight = args.weight_E[rows.expert];
  const int first_column = column_tile * kTileColumns;
  block.Lanes([&](int lane) {
    if (lane >= kTileRows) return;
    const std::int64_t row = rows.first + lane;
    shared.source[lane] = lane >= rows.count       ? -1
                          : args.from_S == nullptr ? row
                                                   : args.from_S[row] / args.slots;
  });
  Product product;
  for (int k = 0; k < args.inner; k += kTileInner) {
    block.Lanes([&](int lane) {
      for (int i = lane; i < kTileRows * kTileInner; i += kLanes) {
        const int row = i / kTileInner, at = i % kTileInner;
        T number{};
        if (shared.source[row] >= 0 && k + at < args.inner)
          number = args.x[shared.source[row] * args.inner + k + at];
        shared.x[row * kTileStride + at] = number;
      }
      for (int i = lane; i < kTileColumns * kTileInner; i += kLanes) {
        const int column = i / kTileInner, at = i % kTileInner;
        T number{};
        if (first_column + column < args.columns && k + at < args.inner)
          number = weight[static_cast<std::int64_t>(first_column + column) * args.inner + k + at];
        shared.weight[column * kTileStride + at] = number;
      }
    });
    product.Multiply(block, shared);
  }
  product.Leave(block, shared);
  block.Lanes([&](int lane) {
    for (int i = lane; i < kTileRows * kTileColumns; i += kLanes) {
      const int row = i / kTileColumns, column = i % kTileColumns;
      if (row >= rows.count || first_column + column >= args.columns) continue;
      float sum = shared.out[row * kTileOut + column];
      if (args.bias_E != nullptr) sum += Widen(args.bias_E[rows.expert][first_column + column]);
      Put(args.y_SN[(rows.first + row) * static_cast<std::int64_t>(args.columns) + first_column +
                    column],
          sum);
    }
  });
}

template <class T>
struct CombineArgs {
  const T* sent_SN = nullptr;
  const float* weight_S = nullptr;  ///< of token * K + slot
  const std::int32_t* place_S = nullptr;
  T* out_TN = nullptr;
  std::int64_t tokens = 0;
  int slots = 1, columns = 0;
};

template <class Block, class T>
AHA_DEVICE void Combine(Block& block, const CombineArgs<T>& args, std::int64_t token) {
  block.Lanes([&](int lane) {
    for (int n = lane; n < args.columns; n += kLanes) {
      float sum = 0;
      for (int slot = 0; slot < args.slots; ++slot) {
        const std::int64_t at = token * args.slots + slot;
        sum += args.weight_S[at] *
               Widen(args.sent_SN[std::int64_t{args.place_S[at]} * args.columns + n]);
      }
      Put(args.out_TN[token * args.columns + n], sum);
    }
  });
}

}  // namespace aha::policy::cuda
